/* Why the region log is not to say something; undefined where it may. */
import { memberName, MEMBERS_MAX, type NodeName } from "../protocols/model-state/members.ts";
import { type RegionLogState } from "../protocols/model-state/region-log.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { isToken } from "../protocols/subjects.ts";
import { type Outcome } from "../runtime/actor.ts";
import { type Standing } from "./state-manager-protocol.ts";
import { type Holding } from "./take-over.ts";

/** Why a node is not to be made a member, or retired. */
export function memberRefusal(
  { act, region, node }: NodeName & { readonly act: "add" | "retire" },
  { log, trainer, role }: { readonly log: RegionLogState; readonly trainer: NodeName; readonly role: Role },
): string | undefined {
  if (!isToken(region) || !isToken(node)) return "a member is named by a region and a node";
  if (role.next !== undefined) return `training moves to ${role.next}; ask a node there in a moment`;
  if (role.duty !== "trains") {
    return `they are changed in ${role.training}, the region that trains; ask a node there`;
  }
  const name = memberName({ region, node });
  const member = log.members.get(name);
  if (act === "add" && member === undefined && log.members.size >= MEMBERS_MAX) {
    return `the log names ${MEMBERS_MAX} nodes, and takes no more`;
  }
  if (act === "retire" && member === undefined) return `${name} is no member`;
  if (act === "retire" && name === memberName(trainer)) return `${name} trains; let another region train first`;
  return undefined;
}

/** Why a region is not to train next, as far as this region can tell. */
export function promotionRefusal(
  region: string,
  { role, full }: { readonly role: Role; readonly full: readonly string[] },
): string | undefined {
  if (!isToken(region)) return "a region is named by lower-case letters, digits, '-' and '_'";
  if (role.next !== undefined) return `training moves to ${role.next} already`;
  if (role.duty !== "trains") return `it is decided in ${role.training}, the region that trains; ask a node there`;
  if (region === role.training) return `${region} trains already`;
  if (!full.includes(region)) {
    return `${region} holds no optimizer state; name it in "standby" of every config, start its nodes anew with empty state folders, and let them pull`;
  }
  return undefined;
}

/** Why a region is not to train next, by what it says of itself. */
export function standingRefusal(
  region: string,
  {
    outcome,
    regions,
    holdings,
  }: {
    readonly outcome: Outcome<Standing>;
    readonly regions: readonly string[];
    readonly holdings: readonly Holding[];
  },
): string | undefined {
  if (outcome.kind === "failed") {
    return `${region} does not answer (${outcome.error.message}), and nobody would train until it does`;
  }
  const { mayTrain, regions: reached, shards } = outcome.value;
  if (!mayTrain) return `${region} was not started as a standby: name it in "standby" of its own config`;
  const unreached = regions.filter((each) => !reached.includes(each));
  if (unreached.length > 0) {
    return `${region} has no link to ${unreached.join(", ")}, whose events it would have to join`;
  }
  const missing = holdings.filter(({ name }) => !shards.some((shard) => shard.name === name));
  return missing.length === 0 ? undefined : `${region} lacks the shards ${missing.map(({ name }) => name).join(", ")}`;
}
