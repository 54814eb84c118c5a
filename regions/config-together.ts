import { isDeepStrictEqual } from "node:util";
import { type RegionConfig } from "./read-config.ts";

/** Why nodes of these configs would not work together, one sentence each. Peers that are not among them are not looked at. */
export function mismatches(configs: readonly RegionConfig[]): readonly string[] {
  return configs
    .flatMap((left, index) =>
      configs
        .slice(index + 1)
        .flatMap((right) => [...sameNode(left, right), ...sameListener(left, right), ...unlike(left, right)]),
    )
    .concat(configs.flatMap((config) => ungranted(config, configs)));
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

function unlike(left: RegionConfig, right: RegionConfig): string[] {
  const both = `${left.file} and ${right.file}`;
  const problems =
    left.training === right.training
      ? []
      : [`${both}: one says that ${left.training} trains, the other ${right.training}`];
  for (const model of left.models) {
    const other = right.models.find((each) => each.name === model.name);
    if (other === undefined) problems.push(`${both}: only the first has the model ${model.name}`);
    else if (!isDeepStrictEqual(model, other)) problems.push(`${both}: the model ${model.name} is not declared alike`);
  }
  for (const model of right.models) {
    if (!left.models.some((each) => each.name === model.name)) {
      problems.push(`${both}: only the second has the model ${model.name}`);
    }
  }
  return problems;
}

function ungranted(config: RegionConfig, all: readonly RegionConfig[]): string[] {
  return config.peers.flatMap((peer) => {
    const theirs = all.filter((other) => other.region === peer.region);
    const granted = theirs.some(
      (other) => other.nats.kind === "external" || other.grants.some((grant) => grant.region === config.region),
    );
    return theirs.length === 0 || granted
      ? []
      : [`${config.file}: its peer ${peer.region} grants region ${config.region} nothing`];
  });
}
