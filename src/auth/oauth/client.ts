import * as z from 'zod';
import type { Registration } from './contract.ts';
import { Fault } from './fault.ts';
import { redirectFault } from './redirect.ts';

/**
 * What a client says of itself (RFC 7591), as far as it counts here. Fields that are not listed are passed over, as that standard
 * wants. Whatever it asks for, it becomes a public client: one that proves itself by PKCE.
 */
const metadata = z.object({
  client_name: z.string().optional(),
  client_uri: z.string().optional(),
  redirect_uris: z.array(z.string()).min(1).max(20),
  grant_types: z.array(z.string()).max(20).optional(),
  response_types: z.array(z.string()).max(20).optional(),
  token_endpoint_auth_method: z.string().optional(),
  application_type: z.enum(['web', 'native']).optional(),
});

/** What a document says as well: its own address. */
const document = metadata.extend({
  client_id: z.string(),
  client_secret: z.undefined('A document is public, so it holds no secret.').optional(),
});

const longestName = 100;

/** What a client registers; refuses what no answer may be sent to, and what cannot be offered. */
export function registrationOf(given: unknown): Registration {
  const parsed = metadata.safeParse(given);
  if (!parsed.success) throw unreadable(parsed.error);
  return checked(parsed.data, null);
}

/** What the document of a client says; it must be about the address at which it is. */
export function registrationIn(given: unknown, address: string): Registration {
  const parsed = document.safeParse(given);
  if (!parsed.success) throw unreadable(parsed.error);
  const { client_id: id, token_endpoint_auth_method: method } = parsed.data;
  if (id !== address) throw unfit(`client_id in the document is not ${address}`);
  if (method !== undefined && method !== 'none')
    throw unfit(`token_endpoint_auth_method "${method.slice(0, 50)}" is not offered: clients here are public (none)`);
  return checked(parsed.data, address);
}

function checked(data: z.output<typeof metadata>, address: string | null): Registration {
  for (const uri of data.redirect_uris) {
    const fault = redirectFault(uri);
    if (fault !== undefined)
      throw new Fault('invalid_redirect_uri', `The redirect_uri ${JSON.stringify(uri.slice(0, 100))} ${fault}.`);
  }
  if (data.grant_types?.includes('authorization_code') === false)
    throw unfit('grant_types holds no authorization_code, and other ways are not offered');
  if (data.response_types?.includes('code') === false)
    throw unfit('response_types holds no code, and others are not offered');
  const redirectUris = [...new Set(data.redirect_uris)];
  const host = URL.parse(address ?? redirectUris[0] ?? '')?.host ?? '';
  const name = plain(data.client_name ?? '').slice(0, longestName);
  return {
    name: name === '' ? (host === '' ? 'a program without a name' : host) : name,
    uri: address ?? webAddress(data.client_uri),
    document: address,
    redirectUris,
  };
}

/** Without what would break lines or turn the direction of a text. Otherwise as it is: the page warns of letters that look like others. */
function plain(text: string): string {
  return text
    .normalize('NFKC')
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .trim();
}

function webAddress(text: string | undefined): string | null {
  const url = text === undefined || text.length > 500 ? null : URL.parse(text);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : null;
}

function unreadable(error: z.ZodError): Fault {
  const [first] = error.issues;
  const where = first === undefined || first.path.length === 0 ? 'It' : first.path.join('.');
  return unfit(`${where}: ${first?.message ?? 'is not client metadata'}`);
}

function unfit(what: string): Fault {
  return new Fault('invalid_client_metadata', `${what.replace(/\.$/, '')}.`);
}
