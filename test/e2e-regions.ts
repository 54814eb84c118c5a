import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually, QUICK, shortFolder, SMALL_MODEL, type Status, TestNode } from "./e2e-support.ts";
import { freePorts } from "./free-ports.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

const NAMES = ["frankfurt", "oregon", "singapore"] as const;
type Name = (typeof NAMES)[number];

/** Three regions, each a process with a nats-server of its own. Every link leads through a proxy, one for each direction. */
export interface ThreeRegions extends AsyncDisposable {
  readonly frankfurt: TestNode;
  /** The one that trains. */
  readonly oregon: TestNode;
  readonly singapore: TestNode;
  readonly all: readonly TestNode[];
  /** Nothing gets in and nothing gets out, until healed. */
  cutOff(region: TestNode): void;
  heal(region: TestNode): void;
  /** Waits until these regions hold the same, everything is learned and no impression waits for feedback. */
  converged(regions: readonly TestNode[]): Promise<void>;
}

/** Resolves when all are ready. */
export async function startThreeRegions(): Promise<ThreeRegions> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await shortFolder());
  const ports = await freePorts(2 * NAMES.length);
  function portOf(name: Name, which: 0 | 1): number {
    return ports[2 * NAMES.indexOf(name) + which] ?? 0;
  }
  const links: { readonly from: Name; readonly to: Name; readonly proxy: TcpProxy }[] = [];
  for (const from of NAMES) {
    for (const to of NAMES) {
      if (from !== to) links.push({ from, to, proxy: undo.use(await startTcpProxy(portOf(to, 0))) });
    }
  }
  async function make(name: Name): Promise<TestNode> {
    const home = join(folder.path, name);
    await mkdir(home);
    const peers = links.filter(({ from }) => from === name);
    // One password for each link, in the files of both its ends.
    for (const { to } of peers) {
      await writeFile(join(home, `for-${to}`), `${name} may enter ${to}`, { mode: 0o600 });
      await writeFile(join(home, `of-${to}`), `${to} may enter ${name}`, { mode: 0o600 });
    }
    const node = new TestNode({
      folder: home,
      config: {
        ...QUICK,
        region: name,
        training: "oregon",
        nats: { listen: `127.0.0.1:${portOf(name, 0)}`, password: { file: "operator" } },
        http: { listen: `127.0.0.1:${portOf(name, 1)}`, deadline: "1s" },
        grants: peers.map(({ to }) => ({ region: to, password: { file: `of-${to}` } })),
        peers: peers.map(({ to, proxy }) => ({
          region: to,
          url: `nats://127.0.0.1:${proxy.port}`,
          password: { file: `for-${to}` },
        })),
      },
    });
    return node;
  }
  const [frankfurt, oregon, singapore] = [await make("frankfurt"), await make("oregon"), await make("singapore")];
  const all = [frankfurt, oregon, singapore];
  undo.defer(async () => void (await Promise.all(all.map((node) => node.stop()))));
  await Promise.all(all.map((node) => node.start()));
  await Promise.all(all.map((node) => node.ready()));

  function linksOf(region: TestNode): TcpProxy[] {
    return links.filter(({ from, to }) => from === region.region || to === region.region).map(({ proxy }) => proxy);
  }
  const held = undo.move();
  return {
    frankfurt,
    oregon,
    singapore,
    all,
    cutOff: (region) => linksOf(region).forEach((proxy) => proxy.cut()),
    heal: (region) => linksOf(region).forEach((proxy) => proxy.heal()),
    async converged(regions) {
      let last: (Status | undefined)[] = [];
      await eventually(
        "the regions have converged",
        async () => {
          last = await Promise.all(regions.map((node) => node.status()));
          const digests = new Set(last.map((status) => status?.models[0]?.digest));
          const training = last[regions.indexOf(oregon)]?.models[0];
          return digests.size === 1 && !digests.has(undefined) && training?.backlog === 0 && training.pending === 0
            ? true
            : undefined;
        },
        45_000,
      ).catch((error: unknown) => {
        const said = last.map(
          (status, at) =>
            `${regions[at]?.region ?? ""}: ${JSON.stringify({ ...status?.models[0], problems: status?.problems })}`,
        );
        throw new Error(`${String(error)}\n${said.join("\n")}`, { cause: error });
      });
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Names the model's shards as leases do. */
export const SHARDS = Array.from({ length: SMALL_MODEL.shards }, (_, shard) => ({ model: SMALL_MODEL.name, shard }));
