/*
 * Regions of one or several nodes, each node a process of its own. Every link leads through a proxy, one for each direction, so that
 * regions can be cut off.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type RegionConfigInput } from "../regions/config.ts";
import { NODE_USER, serverUsers } from "../regions/server-users.ts";
import { eventually, OPERATOR_PASSWORD, QUICK, shortFolder, SMALL_MODEL } from "./e2e-support.ts";
import { type Status, TestNode, type TestNodeOptions } from "./test-node.ts";
import { steadyPorts } from "./free-ports.ts";
import { startTestNats } from "./real-nats.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** Which regions there are, and how they are made. */
export interface RegionsPlan {
  /** By region, the names of its nodes. */
  readonly nodes: Readonly<Record<string, readonly string[]>>;
  readonly training: string;
  /**
   * "own": the first node of each region owns the region's nats-server, which ends with it, and the others are its siblings. "apart": the
   * servers belong to the test, and any node can be killed without one.
   */
  readonly servers: "own" | "apart";
  readonly config?: Partial<RegionConfigInput>;
  /** Runs this in the command line's place. */
  readonly entry?: string;
}

/** Running regions. Disposing ends every process. */
export interface Regions extends AsyncDisposable {
  /** Every node, region by region, in the plan's order. */
  readonly all: readonly TestNode[];
  node(region: string, name?: string): TestNode;
  /** Each link, to be cut or healed by itself. */
  readonly links: readonly Link[];
  /** Nothing gets into this node's region and nothing gets out, until healed. */
  cutOff(node: TestNode): void;
  heal(node: TestNode): void;
  /** Waits until these nodes hold the same, everything is learned and no impression waits for feedback. One of them must train, by default the plan's. */
  converged(nodes: readonly TestNode[], training?: string): Promise<void>;
}

/** Resolves when all are ready. */
export async function startRegions({ nodes, training, servers, config = {}, entry }: RegionsPlan): Promise<Regions> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await shortFolder());
  const regions = Object.keys(nodes);
  const natsPorts = await steadyPorts(regions.length);
  const urls = new Map(regions.map((region, at) => [region, `127.0.0.1:${natsPorts[at] ?? 0}`]));
  const links: Link[] = [];
  for (const from of regions) {
    for (const [at, to] of regions.entries()) {
      if (from !== to) links.push({ from, to, proxy: undo.use(await startTcpProxy(natsPorts[at] ?? 0)) });
    }
  }
  if (servers === "apart") {
    for (const [at, region] of regions.entries()) {
      undo.use(await startTestNats({ name: region, port: natsPorts[at] ?? 0, users: usersOf(region, regions) }));
    }
  }

  const all: TestNode[] = [];
  for (const region of regions) {
    const names = nodes[region] ?? [];
    const peers = links.filter(({ from }) => from === region);
    const httpPorts = await steadyPorts(names.length);
    for (const [at, name] of names.entries()) {
      const home = join(folder.path, `${region}-${name}`);
      await mkdir(home);
      await writeSecrets(home, { region, regions });
      const made: TestNodeOptions["config"] = {
        ...QUICK,
        ...config,
        region,
        node: name,
        nodes: [...names],
        training,
        nats: natsOf({ url: urls.get(region) ?? "", servers, owner: at === 0 ? undefined : names[0] }),
        http: { listen: `127.0.0.1:${httpPorts[at] ?? 0}`, deadline: "1s" },
        grants:
          servers === "own" && at === 0 ? peers.map(({ to }) => ({ region: to, password: { file: `of-${to}` } })) : [],
        peers: peers.map(({ to, proxy }) => ({
          region: to,
          url: `nats://127.0.0.1:${proxy.port}`,
          nodes: [...(nodes[to] ?? [])],
          password: { file: `for-${to}` },
          // One of the regions has its rows sent compressed.
          compress: region === "singapore" ? ("zstd" as const) : ("never" as const),
        })),
      };
      all.push(new TestNode({ folder: home, config: made, ...(entry === undefined ? {} : { entry }) }));
    }
  }
  undo.defer(async () => void (await Promise.all(all.map((node) => node.stop()))));
  await Promise.all(all.map((node) => node.start()));
  await Promise.all(all.map((node) => node.ready()));

  function linksOf({ region }: TestNode): TcpProxy[] {
    return links.filter(({ from, to }) => from === region || to === region).map(({ proxy }) => proxy);
  }
  const held = undo.move();
  return {
    all,
    links,
    node(region, name = "a") {
      const found = all.find((node) => node.region === region && node.node === name);
      if (found === undefined) throw new RangeError(`Cannot find node ${name} of ${region}: the plan has none`);
      return found;
    },
    cutOff: (node) => linksOf(node).forEach((proxy) => proxy.cut()),
    heal: (node) => linksOf(node).forEach((proxy) => proxy.heal()),
    converged: (some, trains = training) => converged(some, trains),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** By what the nodes of one region reach another's server. */
interface Link {
  readonly from: string;
  readonly to: string;
  readonly proxy: TcpProxy;
}

function passwordOf(who: string, where: string): string {
  return `${who} may enter ${where}`;
}

function usersOf(region: string, regions: readonly string[]): ReturnType<typeof serverUsers> {
  return serverUsers({
    region,
    nodePassword: passwordOf("every node", region),
    operatorPassword: OPERATOR_PASSWORD,
    grants: regions
      .filter((peer) => peer !== region)
      .map((peer) => ({ region: peer, password: passwordOf(peer, region) })),
  });
}

/** One password for each link, in the files of both its ends, and one for the nodes of the region. */
async function writeSecrets(
  home: string,
  { region, regions }: { readonly region: string; readonly regions: readonly string[] },
): Promise<void> {
  const secrets = regions.flatMap((peer) => [
    [`for-${peer}`, passwordOf(region, peer)] as const,
    [`of-${peer}`, passwordOf(peer, region)] as const,
  ]);
  for (const [file, password] of [...secrets, ["nodes", passwordOf("every node", region)] as const]) {
    await writeFile(join(home, file), password, { mode: 0o600 });
  }
}

function natsOf(at: {
  readonly url: string;
  readonly servers: RegionsPlan["servers"];
  readonly owner: string | undefined;
}): RegionConfigInput["nats"] {
  const url = `nats://${at.url}`;
  const password = { file: "nodes" };
  if (at.servers === "apart") return { url, user: NODE_USER, password, limits: { streamBytes: "50MB" } };
  if (at.owner !== undefined) return { url, node: at.owner, password };
  return { listen: at.url, password: { file: "operator" }, nodesPassword: password };
}

async function converged(nodes: readonly TestNode[], training: string): Promise<void> {
  let last: (Status | undefined)[] = [];
  const trains = nodes.findIndex(({ region, node }) => region === training && node === "a");
  await eventually(
    "the nodes have converged",
    async () => {
      last = await Promise.all(nodes.map((node) => node.status()));
      const digests = new Set(last.map((status) => status?.models[0]?.digest));
      const trained = last[trains]?.models[0];
      return digests.size === 1 && !digests.has(undefined) && trained?.backlog === 0 && trained.pending === 0
        ? true
        : undefined;
    },
    45_000,
  ).catch((error: unknown) => {
    const said = last.map(
      (status, at) =>
        `${nodes[at]?.region ?? ""}/${nodes[at]?.node ?? ""}: ${JSON.stringify({ ...status?.models[0], problems: status?.problems })}`,
    );
    throw new Error(`${String(error)}\n${said.join("\n")}`, { cause: error });
  });
}

/** Three regions of one node each. */
export interface ThreeRegions extends Regions {
  readonly frankfurt: TestNode;
  /** The one that trains. */
  readonly oregon: TestNode;
  readonly singapore: TestNode;
}

/** Three regions with a nats-server each of their own; resolves when all are ready. */
export async function startThreeRegions(): Promise<ThreeRegions> {
  const regions = await startRegions({
    nodes: { frankfurt: ["a"], oregon: ["a"], singapore: ["a"] },
    training: "oregon",
    servers: "own",
  });
  return {
    ...regions,
    frankfurt: regions.node("frankfurt"),
    oregon: regions.node("oregon"),
    singapore: regions.node("singapore"),
  };
}

/** Names the model's shards as leases do. */
export const SHARDS = Array.from({ length: SMALL_MODEL.shards }, (_, shard) => ({ model: SMALL_MODEL.name, shard }));
