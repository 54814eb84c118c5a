/*
 * Who is a member: the nodes that hold the shards, as the region log has it. What all members know is known everywhere; a node that
 * was retired is not waited for any longer.
 */

/** A region node. */
export interface NodeName {
  readonly region: string;
  readonly node: string;
}

/** What the log says of one node. */
export interface Member extends NodeName {
  /** The number of the log's entry that said it last. */
  readonly since: number;
  /** It was a member and is none now. It stays listed, so that no config makes it one again unasked. */
  readonly isRetired: boolean;
}

/** All that the log ever called a member, by `REGION/NODE`. */
export type Members = ReadonlyMap<string, Member>;

/** More nodes than this are not taken in. */
export const MEMBERS_MAX = 1024;

export function memberName({ region, node }: NodeName): string {
  return `${region}/${node}`;
}

/** The members after an entry of the log. What an entry says again, or of one too many, changes nothing, wherever it is replayed. */
export function changeMember(
  members: Members,
  { act, region, node, seq }: NodeName & { readonly act: "add" | "retire"; readonly seq: number },
): Members {
  const name = memberName({ region, node });
  const before = members.get(name);
  const isRetired = act === "retire";
  if (before === undefined ? isRetired || members.size >= MEMBERS_MAX : before.isRetired === isRetired) return members;
  return new Map(members).set(name, { region, node, since: seq, isRetired });
}

/** All that the log ever called a member, in order of name. */
export function everyMember(members: Members): readonly Member[] {
  return [...members].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, member]) => member);
}

/** Those who are members now, in order of name. */
export function presentMembers(members: Members): readonly Member[] {
  return everyMember(members).filter(({ isRetired }) => !isRetired);
}

/** The number of the list: that of the entry that changed it last, 0 before the first. */
export function membersNumber(members: Members): number {
  let number = 0;
  for (const { since } of members.values()) number = Math.max(number, since);
  return number;
}
