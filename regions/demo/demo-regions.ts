import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type RegionConfigInput } from "../config.ts";
import { type FeedPlan } from "./feed.ts";

/** The demo's regions. */
export const DEMO_REGIONS = ["frankfurt", "oregon", "singapore"] as const;

/** The one that trains. */
export const DEMO_TRAINING_REGION = "oregon";

/** A region of the demo: where its config is and where it is reached. */
export interface DemoRegion {
  readonly region: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly url: string;
}

/**
 * Writes a config for each region into `folder`: its own nats-server on loopback, a password of its own for each peer,
 * kept in a file that only this user reads. Passwords that are there already stay, so a state folder can be used again.
 */
export async function writeDemoConfigs(
  folder: string,
  options: { readonly plan: FeedPlan; readonly natsServer: string; readonly portBase: number | undefined },
): Promise<readonly DemoRegion[]> {
  const { plan, natsServer, portBase } = options;
  await mkdir(join(folder, "secrets"), { recursive: true, mode: 0o700 });
  const ports =
    portBase === undefined
      ? await freePorts(2 * DEMO_REGIONS.length)
      : DEMO_REGIONS.flatMap((_, index) => [portBase + 2 * index, portBase + 2 * index + 1]);
  function portOf(region: string, which: 0 | 1): number {
    return ports[2 * DEMO_REGIONS.findIndex((each) => each === region) + which] ?? 0;
  }

  const regions: DemoRegion[] = [];
  for (const region of DEMO_REGIONS) {
    const others = DEMO_REGIONS.filter((each) => each !== region);
    const config: RegionConfigInput = {
      region,
      state: region,
      training: DEMO_TRAINING_REGION,
      nats: { listen: `127.0.0.1:${portOf(region, 0)}`, binary: natsServer },
      grants: others.map((peer) => ({ region: peer, password: { file: passwordFile(region, peer) } })),
      peers: others.map((peer) => ({
        region: peer,
        url: `nats://127.0.0.1:${portOf(peer, 0)}`,
        password: { file: passwordFile(peer, region) },
      })),
      http: { listen: `127.0.0.1:${portOf(region, 1)}` },
      models: [toInput(plan.model)],
      joiner: plan.joiner,
    };
    for (const peer of others) await writePassword(join(folder, passwordFile(region, peer)));
    const configFile = join(folder, `${region}.jsonc`);
    await writeFile(configFile, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
    regions.push({
      region,
      configFile,
      logFile: join(folder, `${region}.log`),
      url: `http://127.0.0.1:${portOf(region, 1)}`,
    });
  }
  return regions;
}

function passwordFile(granting: string, granted: string): string {
  return join("secrets", `${granting}-grants-${granted}`);
}

async function writePassword(path: string): Promise<void> {
  try {
    await writeFile(path, randomBytes(24).toString("base64url"), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

function toInput(model: FeedPlan["model"]): RegionConfigInput["models"][number] {
  const { architecture, tables, dense, ...rest } = model;
  return {
    ...rest,
    architecture,
    tables: [...tables],
    dense: [...dense],
  };
}

// All are held at once, so they differ. Another process may take one before its region does; that region then says so.
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(
      servers.map(
        (server) =>
          new Promise<number>((resolve, reject) => {
            server.once("error", reject);
            server.listen(0, "127.0.0.1", () => {
              const address = server.address();
              resolve(typeof address === "object" && address !== null ? address.port : 0);
            });
          }),
      ),
    );
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
