import { isDeepStrictEqual } from "node:util";
import { LOST_SNAPSHOTS } from "../protocols/sync/stamper.ts";
import { mayTrain } from "./node-plan.ts";
import { type RegionConfig } from "./read-config.ts";

/** What the client takes where a url names no port. */
const NATS_PORT = 4222;

/** Why nodes of these configs would not work together, one sentence each. Peers that are not among them are not looked at. */
export function mismatches(configs: readonly RegionConfig[]): readonly string[] {
  return configs
    .flatMap((left, index) =>
      configs
        .slice(index + 1)
        .flatMap((right) => [
          ...sameNode(left, right),
          ...sameListener(left, right),
          ...sameRegion(left, right),
          ...unlike(left, right),
        ]),
    )
    .concat(
      configs.flatMap((config) => [
        ...ungranted(config, configs),
        ...peersNodes(config, configs),
        ...refusingRestarts(config, configs),
      ]),
    );
}

function sameNode(left: RegionConfig, right: RegionConfig): string[] {
  const both = `${left.file} and ${right.file}`;
  return [
    ...(left.region === right.region && left.node === right.node
      ? [`${both}: both are node ${left.node} of region ${left.region}`]
      : []),
    ...(left.state === right.state ? [`${both}: both keep their state in ${left.state}`] : []),
  ];
}

function sameListener(left: RegionConfig, right: RegionConfig): string[] {
  const taken = new Set(ports(left));
  return ports(right)
    .filter((port) => taken.has(port))
    .map((port) => `${left.file} and ${right.file}: both listen on ${port}`);
}

function ports(config: RegionConfig): string[] {
  const listeners = [
    config.nats.kind === "own" ? config.nats.listen : undefined,
    config.http === false ? undefined : config.http.listen,
  ];
  const monitor =
    config.nats.kind === "own" && config.nats.monitor !== undefined ? [`127.0.0.1:${config.nats.monitor}`] : [];
  return [
    ...listeners.flatMap((it) => (it === undefined || it.port === 0 ? [] : [`${it.host}:${it.port}`])),
    ...monitor,
  ];
}

/** Two nodes of one region share its server, and name the same nodes. */
function sameRegion(left: RegionConfig, right: RegionConfig): string[] {
  if (left.region !== right.region || left.node === right.node) return [];
  const both = `${left.file} and ${right.file}`;
  const [owner, other] = left.nats.kind === "own" ? [left, right] : [right, left];
  return [
    ...(left.nodes.toSorted().join() === right.nodes.toSorted().join()
      ? []
      : [
          `${both}: one says that region ${left.region} has the nodes ${left.nodes.join(", ")}, the other ${right.nodes.join(", ")}`,
        ]),
    ...(owner.nats.kind === "own" && other.nats.kind === "own"
      ? [
          `${both}: each runs a nats-server, and a region has one; write "nats": { "url": ..., "node": "${owner.node}" } in one`,
        ]
      : []),
    ...(other.nats.kind === "external" && other.nats.node === owner.node && !isReachedAt(owner, other.nats.url)
      ? [`${other.file}: nats.url is not where ${owner.file} listens`]
      : []),
    ...(isDeepStrictEqual(left.nats.limits, right.nats.limits)
      ? []
      : [`${both}: their nats.limits differ, and the streams of a region are the same ones`]),
  ];
}

function isReachedAt({ nats }: RegionConfig, url: string): boolean {
  if (nats.kind !== "own" || nats.listen.port === 0) return true;
  const port = URL.parse(url)?.port ?? "";
  return nats.listen.port === (port === "" ? NATS_PORT : Number(port));
}

/** A peer's nodes are those that the peer's own files name. */
function peersNodes(config: RegionConfig, all: readonly RegionConfig[]): string[] {
  return config.peers.flatMap((peer) => {
    const theirs = all.find((other) => other.region === peer.region);
    return theirs === undefined || theirs.nodes.toSorted().join() === peer.nodes.toSorted().join()
      ? []
      : [
          `${config.file}: its peer ${peer.region} has the nodes ${peer.nodes.join(", ")}, and by ${theirs.file} ${theirs.nodes.join(", ")}`,
        ];
  });
}

function unlike(left: RegionConfig, right: RegionConfig): string[] {
  const both = `${left.file} and ${right.file}`;
  const problems =
    left.training === right.training
      ? []
      : [`${both}: one says that ${left.training} trains, the other ${right.training}`];
  if (left.standby.toSorted().join() !== right.standby.toSorted().join()) {
    problems.push(
      `${both}: one says that ${left.standby.join(", ") || "no region"} stands by, the other ${right.standby.join(", ") || "none"}`,
    );
  }
  for (const model of left.models) {
    const other = right.models.find((each) => each.name === model.name);
    if (other === undefined) problems.push(`${both}: only the first has the model ${model.name}`);
    else if (!isDeepStrictEqual(model, other)) {
      problems.push(
        `${both}: the model ${model.name} is not declared alike; these differ: ${different(model, other).join(", ")}`,
      );
    }
  }
  for (const model of right.models) {
    if (!left.models.some((each) => each.name === model.name)) {
      problems.push(`${both}: only the second has the model ${model.name}`);
    }
  }
  return problems;
}

/** The keys that have not the same value in both, defaults included; the order of keys is none. */
function different(left: object, right: object): string[] {
  const [ours, theirs] = [new Map(Object.entries(left)), new Map(Object.entries(right))];
  return [...new Set([...ours.keys(), ...theirs.keys()])].filter(
    (key) => !isDeepStrictEqual(ours.get(key), theirs.get(key)),
  );
}

function ungranted(config: RegionConfig, all: readonly RegionConfig[]): string[] {
  return config.peers.flatMap((peer) => {
    const theirs = all.filter((other) => other.region === peer.region);
    const granted = theirs.some(
      (other) =>
        (other.nats.kind === "external" && other.nats.node === undefined) ||
        other.grants.some((grant) => grant.region === config.region),
    );
    return theirs.length === 0 || granted
      ? []
      : [`${config.file}: its peer ${peer.region} grants region ${config.region} nothing`];
  });
}

/** What a primary stamps after a restart is refused by whoever allows less. Its own file says so of its own limit. */
function refusingRestarts(config: RegionConfig, all: readonly RegionConfig[]): string[] {
  return all.flatMap((other) => {
    const aheadMs = LOST_SNAPSHOTS * other.snapshot.everyMs;
    if (other === config || !mayTrain(other) || config.sync.jumpLimitMs >= aheadMs) return [];
    return [
      `${config.file}: its sync.jumpLimit is less than twice the snapshot.every of ${other.file}, whose rows it would refuse after a restart there`,
    ];
  });
}
