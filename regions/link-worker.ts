import { type LinkConfig } from "../runtime/link.ts";
import { type WorkerSpec } from "../runtime/managed-worker.ts";
import { type NatsTlsOptions } from "../runtime/transport/nats-server-options.ts";
import { type RegionNats } from "./node-nats.ts";
import { fullRegions } from "./node-plan.ts";
import { type RegionConfig } from "./read-config.ts";
import { resolveSecret } from "./secret.ts";
import { freshetVersion } from "./version.ts";

/** Samples wait in their stream until every shard's image has them; copies of events are recognised for this long. */
const DUPLICATES_MS = 120_000;
/** The most that the region log keeps. */
export const LOG_BYTES_MAX = 100_000_000;

/** The one worker with sockets to NATS: the region's own server, and a link to each peer's. */
export async function linkWorker(config: RegionConfig, nats: RegionNats): Promise<WorkerSpec> {
  const { region, node } = config;
  const { streamBytes, maxAgeMs } = config.nats.limits;
  const certificates = new Set<string>();
  function trust(tls: NatsTlsOptions | undefined): { tls?: NatsTlsOptions } {
    if (tls === undefined) return {};
    for (const path of [tls.ca, tls.pinned]) if (path !== undefined) certificates.add(path);
    return { tls };
  }
  const link: LinkConfig = {
    region,
    node,
    version: freshetVersion(),
    own: {
      url: nats.url,
      ...(nats.user === undefined ? {} : { user: nats.user }),
      ...(nats.password === undefined ? {} : { password: nats.password }),
      ...trust(nats.tls),
    },
    peers: await Promise.all(
      config.peers.map(async ({ region: peer, url, password, tls, compress }) => ({
        region: peer,
        url,
        user: region,
        compress,
        password: await resolveSecret(password, { what: `the password for region ${peer}` }),
        ...trust(tls?.ca === undefined ? undefined : { ca: tls.ca }),
      })),
    ),
    streams: [
      {
        name: "EVENTS",
        subjects: [`freshet.${region}.events.*.*.${region}`],
        maxAgeMs,
        maxBytes: streamBytes,
        duplicateWindowMs: DUPLICATES_MS,
      },
      // Whichever node of a region starts first declares them for all.
      ...(fullRegions(config).includes(region)
        ? [
            { name: "SAMPLES", subjects: [`freshet.${region}.samples.*.*.${region}`], maxAgeMs, maxBytes: streamBytes },
            { name: "LOG", subjects: [`freshet.${region}.log.*.*.${region}`], maxBytes: LOG_BYTES_MAX },
          ]
        : []),
    ],
    buckets: [{ name: "LEASES" }],
  };
  const gateway = { module: new URL("../runtime/link.ts", import.meta.url), export: "openLink", config: link };
  return { name: "link", permissions: { net: true, read: [...certificates] }, gateway, actors: [] };
}
