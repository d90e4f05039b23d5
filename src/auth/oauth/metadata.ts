import { roles } from '../roles.ts';
import { usualScope } from './scopes.ts';

/** Paths for which tokens are given out. The first is what is meant when a client names none. */
export const resourcePaths = ['/mcp', '/api/v1'] as const;

/** Where the resources of this server are described (RFC 9728): the path of the resource behind the well-known one. */
export const resourceMetadataPath = '/.well-known/oauth-protected-resource';
export const serverMetadataPath = '/.well-known/oauth-authorization-server';

/** `origin` is how this server was called just now: tokens are for the address that a client knows. */
export function resourceMetadata(origin: string, path: string): Record<string, unknown> {
  return {
    resource: `${origin}${path}`,
    authorization_servers: [origin],
    scopes_supported: [usualScope],
    bearer_methods_supported: ['header'],
    resource_name: path === '/mcp' ? 'MAOS over MCP' : 'MAOS over REST',
  };
}

export function serverMetadata(origin: string): Record<string, unknown> {
  return {
    issuer: origin,
    authorization_endpoint: `${origin}/oauth/authorize`,
    token_endpoint: `${origin}/oauth/token`,
    registration_endpoint: `${origin}/oauth/register`,
    revocation_endpoint: `${origin}/oauth/revoke`,
    jwks_uri: `${origin}/oauth/jwks`,
    scopes_supported: [...roles],
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_methods_supported: ['none'],
    revocation_endpoint_auth_methods_supported: ['none'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: true,
  };
}

/** The resource that a request names, as its tokens will; undefined: none of this server’s. */
export function resourceOf(asked: string | undefined, origin: string): string | undefined {
  if (asked === undefined) return `${origin}${resourcePaths[0]}`;
  const url = URL.parse(asked);
  if (url === null || url.origin !== origin || url.search !== '' || asked.includes('#')) return undefined;
  const path = url.pathname.replace(/\/$/, '');
  if (path === '') return `${origin}/`;
  return resourcePaths.some((one) => one === path) ? `${origin}${path}` : undefined;
}

/** What a 401 says besides: where a client finds out how to get a token (RFC 9728, 5.1). */
export function challenge(origin: string, path: string, given: boolean): string {
  const [mcp, rest] = resourcePaths;
  const resource = path === mcp || path.startsWith(`${mcp}/`) ? mcp : rest;
  const fields = [
    `realm="maos"`,
    ...(given ? ['error="invalid_token"'] : []),
    `scope="${usualScope}"`,
    `resource_metadata="${origin}${resourceMetadataPath}${resource}"`,
  ];
  return `Bearer ${fields.join(', ')}`;
}
