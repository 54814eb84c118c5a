/* What forcing a promotion is decided by, and what is said of it. */
import { type Role } from "../protocols/model-state/role.ts";
import { isToken } from "../protocols/subjects.ts";
import { messageOf } from "../protocols/wire/error-message.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { type GoingOn, lookAtOwn, noSamples } from "./later-epoch.ts";
import { type ForceCheck, type StateManagerProtocol } from "./state-manager-protocol.ts";
import { type Holding, type ShardPorts } from "./take-over.ts";

/** Why this node cannot decide that its region trains, whoever is lost. */
export function forceRefusal(
  region: string,
  own: { readonly region: string; readonly mayTrain: boolean; readonly role: Role; readonly knowsOwn: boolean },
): string | undefined {
  if (!isToken(region)) return "a region is named by lower-case letters, digits, '-' and '_'";
  if (region !== own.region) return `what is forced is decided where it leads to; ask a node of ${region}`;
  if (!own.mayTrain) {
    return `this node could not train: ask node "a" of ${region}, which must be named in "standby" of every config`;
  }
  if (own.role.duty === "trains") return `${region} trains already`;
  return own.knowsOwn ? undefined : "the region log is not known here yet; ask again in a moment";
}

/** The region without which a promotion to this one would go on: that which trains, or that to which training was moving. */
export function lostRegion(region: string, { training, next }: Role): string {
  return next !== undefined && next !== region ? next : training;
}

/** Asks the region that is taken for lost, and looks at what is here. */
export async function checkForce(
  task: { readonly to: string; readonly holdings: readonly Holding[] },
  ports: ShardPorts & { readonly stream: ActorRef<StreamProtocol>; readonly lost: ActorRef<StateManagerProtocol> },
): Promise<ForceCheck> {
  const asked = ports.lost.ask("summary", {}, { signal: ports.deadline(PEER_MS) });
  const [answer, own] = await Promise.allSettled([asked, lookAtOwn(task, ports)]);
  if (own.status === "rejected") throw own.reason;
  if (answer.status === "fulfilled") return { silent: undefined, own: own.value };
  const why: unknown = answer.reason;
  return { silent: messageOf(why), own: own.value };
}

/** Why training is not taken from a lost region, by what was found. */
export function lostRefusal(
  { silent, own }: ForceCheck,
  of: { readonly region: string; readonly lost: string; readonly force: boolean; readonly nowMs: number },
): string | undefined {
  const { region, lost, force } = of;
  if (silent === undefined) {
    const what = `ask a node of ${lost} for it, and nothing is lost`;
    return force ? `${lost} answers: ${what}. Where it answers and cannot train, stop its nodes first` : what;
  }
  if (own.samples === undefined && own.rows.most > 0) return noSamples(region, lost);
  if (force) return undefined;
  return `${lost} does not answer (${silent}). If it is lost, or cut off for longer than you can do without learning, force it: freshet promote ${region} --force. ${lossOf(own, of)}`;
}

/** What is lost by force, as far as this region knows. */
export function lossOf(
  { samples, rows }: GoingOn,
  { region, lost, nowMs }: { readonly region: string; readonly lost: string; readonly nowMs: number },
): string {
  const behind = (samples?.seq ?? 0) - rows.least;
  const ahead = rows.most - (samples?.seq ?? 0);
  return [
    samples === undefined
      ? `${region} holds no samples of ${lost}, and no rows that learned from any`
      : `${region} goes on from message ${samples.seq} of the samples, made ${Math.max(0, Math.round((nowMs - samples.timeMs) / 1000))} s ago`,
    behind > 0
      ? `its rows have learned up to message ${rows.least}, the rest is learned again`
      : "its rows have learned all of it",
    ...(ahead > 0
      ? [`some have learned up to message ${rows.most}: the events behind the last ${ahead} count twice`]
      : []),
    `what ${lost} learned later is lost with its rows`,
    `events that ${region} can reach are joined and learned again from there; those of ${lost} when it is back, and never if it is not`,
  ].join("; ");
}

/** For an answer from the region that is taken for lost. */
const PEER_MS = 3_000;
