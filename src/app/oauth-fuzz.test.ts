import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Entrance } from './identity.fixture.ts';
import { makeUser, OAuthVisitor } from './oauth-flow.fixture.ts';

let entrance: Entrance;
let visitor: OAuthVisitor;
beforeAll(async () => {
  entrance = await new Entrance().start();
  await makeUser(entrance, 'ada');
  visitor = new OAuthVisitor(entrance);
  await visitor.register();
});
afterAll(() => entrance.destroy());

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom('', 'S256', 'code', 'authorization_code', 'refresh_token', 'coordinator', 'query', 'x'.repeat(43)),
  fc.constantFrom('http://127.0.0.1:7777/callback', 'https://[', 'https://a/..', '__proto__', 'maosr_x', 'a.b.c', '\0'),
);
const name = fc.oneof(
  fc.constantFrom('grant_type', 'code', 'code_verifier', 'refresh_token', 'redirect_uri', 'resource', 'scope', 'token'),
  fc.constantFrom(
    'response_type',
    'code_challenge',
    'code_challenge_method',
    'state',
    'flow',
    'csrf',
    'name',
    'password',
  ),
  text,
);
const fields = fc.array(fc.tuple(name, text), { maxLength: 10 });
const paths = ['authorize', 'sign-in', 'code', 'consent'].map((path) => `/oauth/${path}`);
const forms = ['token', 'revoke', 'sign-in', 'code', 'consent'].map((path) => `/oauth/${path}`);

/** Whatever comes, the answer is a refusal, or what was asked for; nobody is sent away from this machine. */
const sane = ({ status, location }: { status: number; location: string }): void => {
  expect(status).toBeLessThan(500);
  if (location !== '') expect(location).toMatch(/^(?:\/oauth\/|http:\/\/127\.0\.0\.1:7777\/callback\?)/);
};

it('no query and no form makes the endpoints fail', async () => {
  expect.hasAssertions();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), fields, fc.boolean(), async (path, given, known) => {
      const all = known ? [...given, ['client_id', visitor.clientId] as const] : given;
      const query = new URLSearchParams(all.map(([key, value]): [string, string] => [key, value]));
      sane(await visitor.get(`${path}?${query.toString()}`));
    }),
    { numRuns: 60 },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...forms), fields, fc.boolean(), async (path, given, known) => {
      const all = Object.fromEntries(given);
      sane(await visitor.post(path, known ? { ...all, client_id: visitor.clientId } : all));
    }),
    { numRuns: 60 },
  );
});

it('no metadata makes a registration fail, or gives an address of a script', async () => {
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.array(fc.webUrl({ withFragments: true }), { maxLength: 3 }));
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.constantFrom('redirect_uris', 'client_name', 'client_uri'), value),
      async (given) => {
        const seen = await visitor.register(given);
        // An address may register sixty in an hour.
        expect([201, 400, 429]).toContain(seen.status);
      },
    ),
    { numRuns: 60 },
  );
});
