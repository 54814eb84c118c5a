import { type Secret } from "./config-values.ts";
import { type RegionConfig } from "./read-config.ts";
import { resolveSecret, SecretMissing } from "./secret.ts";
import { type Environment } from "./state-home.ts";

/** Every secret that a config refers to, with the words that name it in errors. */
function secretsOf(config: RegionConfig): readonly { readonly what: string; readonly secret: Secret }[] {
  const { nats, http } = config;
  const server = nats.kind === "own" ? 'the password of the user "operator"' : "the password for the nats-server";
  return [
    ...(nats.password === undefined ? [] : [{ what: server, secret: nats.password }]),
    ...(http === false || http.token === undefined ? [] : [{ what: "the HTTP token", secret: http.token }]),
    ...config.grants.map((grant) => ({
      what: `the password granted to region ${grant.region}`,
      secret: grant.password,
    })),
    ...config.peers.map((peer) => ({ what: `the password for region ${peer.region}`, secret: peer.password })),
  ];
}

/** What is wrong with the secrets of a config now. Shared ones are made when they are needed and never missing. */
export async function missingSecrets(config: RegionConfig, env: Environment): Promise<readonly string[]> {
  const found = await Promise.all(
    secretsOf(config)
      .filter(({ secret }) => secret.kind !== "shared")
      .map(async ({ what, secret }) => {
        try {
          await resolveSecret(secret, { what, env });
          return [];
        } catch (error) {
          if (!(error instanceof SecretMissing)) throw error;
          return [error.message];
        }
      }),
  );
  return found.flat();
}
