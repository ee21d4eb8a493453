// An identity provider: node provider.mjs FOLDER. Prints its URL. Whoever logs in as NAME is in the tenant NAME.
import { createServer } from "node:http";
import { createRequire } from "node:module";

// Only the URL goes to stdout, which nobody reads any longer after that.
console.info = console.error;

const { resolve } = createRequire(`${process.argv[2]}/`);
const { Provider } = await import(resolve("oidc-provider"));

const server = createServer().listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const resource = {
    scope: "read run admin",
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: "RS256" } },
  };
  const provider = new Provider(issuer, {
    features: {
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, indicator) => ({ ...resource, audience: indicator }),
        useGrantedResource: () => true,
      },
    },
    scopes: ["openid", "offline_access", "read", "run", "admin"],
    extraTokenClaims: (_, token) => ({ tenant: token.accountId }),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
