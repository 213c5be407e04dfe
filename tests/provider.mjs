// A real identity provider for the tests: `oidc-provider` (MIT), with its own sign-in pages. Whoever signs in as
// `NAME~ROLE~ROLE` has that name and those app roles.
//   node provider.mjs PORT REDIRECT_URI JWKS_JSON
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";

const require = createRequire(path.join(import.meta.dirname ?? path.dirname(process.argv[1]), "../static/package.json"));
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);

const [port, redirect, jwks] = process.argv.slice(2);
const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      client_id: "rvr",
      client_secret: "a secret of the tests alone",
      redirect_uris: [redirect],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  jwks: JSON.parse(jwks),
  cookies: { keys: ["only for the tests"] },
  conformIdTokenClaims: false,
  claims: { openid: ["sub", "roles", "tid", "oid", "auth_time"], profile: ["name", "preferred_username"] },
  async findAccount(_, id) {
    const [name, ...roles] = id.split("~");
    return {
      accountId: id,
      claims: () => ({ sub: id, name: `${name} Invented`, preferred_username: `${name}@force.example`, roles, tid: "t-1", oid: `o-${name}` }),
    };
  },
  pkce: { required: () => true },
});
provider.listen(Number(port), "localhost", () => console.log("ready"));
