/*
 * Entries of the region log, field by field: with one field wrong, everything else right, an entry is refused; at each bound it is taken.
 * And who is a member: what each change makes of the list, against one that is kept naively.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  changeMember,
  everyMember,
  type Members,
  MEMBERS_MAX,
  memberName,
  membersNumber,
  presentMembers,
} from "../protocols/model-state/members.ts";
import { decodeEntry } from "../protocols/model-state/region-log.ts";
import { type Message, misreadings, NO_LIST, NO_OBJECT, NO_TEXT } from "./wrong-fields.ts";

/** JSON has no NaN and no infinities: they arrive as null. */
const NO_NUMBER: readonly unknown[] = [undefined, null, "1", true, [1], {}];
const NO_NAME: readonly unknown[] = [...NO_TEXT, "", "A", "a.b", "-a", "a".repeat(65), ["a"]];
const NO_TERM: readonly unknown[] = [...NO_NUMBER, 0, -1, 1.5, 2 ** 53];
const NO_VERDICT: readonly unknown[] = [...NO_TEXT, "", "ill", "Healthy"];

const ENTRIES: readonly Omit<Message, "parse">[] = [
  {
    what: "membership",
    good: { kind: "membership", atMs: 1, regions: ["oregon", "frankfurt"], training: "frankfurt" },
    wrong: [
      [[], [...NO_OBJECT, []]],
      [["kind"], [...NO_TEXT, "", "members"]],
      [["atMs"], NO_NUMBER],
      [["regions"], [...NO_LIST, [], ["oregon"]]],
      [["regions", 0], NO_NAME],
      [["training"], [...NO_NAME, "singapore"]],
    ],
    right: [
      [["atMs"], [0, -1.5]],
      [["training"], ["oregon"]],
    ],
  },
  {
    what: "member",
    good: { kind: "member", atMs: 1, act: "add", region: "oregon", node: "a" },
    wrong: [
      [["act"], [...NO_TEXT, "", "Add", "remove"]],
      [["region"], NO_NAME],
      [["node"], NO_NAME],
    ],
    right: [
      [["act"], ["retire"]],
      [["node"], ["a".repeat(64)]],
    ],
  },
  {
    what: "promote",
    good: { kind: "promote", atMs: 1, to: "oregon", term: 1 },
    wrong: [
      [["to"], NO_NAME],
      [["term"], NO_TERM],
    ],
    right: [[["term"], [2, Number.MAX_SAFE_INTEGER]]],
  },
  {
    what: "training",
    good: { kind: "training", atMs: 1, region: "oregon", term: 1 },
    wrong: [
      [["region"], NO_NAME],
      [["term"], NO_TERM],
    ],
    right: [[["term"], [2, Number.MAX_SAFE_INTEGER]]],
  },
  {
    what: "verdict",
    good: { kind: "verdict", atMs: 1, model: "clicks", from: "healthy", to: "corrupted", cause: "AUC .5 < .6" },
    wrong: [
      [["model"], NO_NAME],
      [["from"], NO_VERDICT],
      [["to"], NO_VERDICT],
      [["cause"], NO_TEXT],
    ],
    right: [
      [["from"], ["uncertain", "corrupted"]],
      [["to"], ["uncertain", "healthy"]],
      [["cause"], [""]],
    ],
  },
];

function parse(value: unknown): unknown {
  return decodeEntry(new TextEncoder().encode(JSON.stringify(value) ?? ""));
}

test.each(ENTRIES)("$what: with one field wrong it is refused, at each bound it is taken", (entry) => {
  expect(misreadings({ ...entry, parse })).toEqual([]);
});

const changes = fc.array(
  fc.record({
    act: fc.constantFrom("add" as const, "retire" as const),
    region: fc.constantFrom("oregon", "frankfurt"),
    node: fc.constantFrom("a", "b", "c"),
  }),
  { maxLength: 30, size: "max" },
);

test("changeMember(): who was added and not retired since is present, in order; who never was a member cannot be retired", () => {
  fc.assert(
    fc.property(changes, (list) => {
      let members: Members = new Map();
      const model: { name: string; isRetired: boolean; since: number }[] = [];
      for (const [at, change] of list.entries()) {
        const before = members;
        const held = model.find(({ name }) => name === memberName(change));
        const isRetired = change.act === "retire";
        const changed = held === undefined ? !isRetired : held.isRetired !== isRetired;
        members = changeMember(members, { ...change, seq: at + 1 });
        if (!changed) expect(members).toBe(before);
        else if (held === undefined) model.push({ name: memberName(change), isRetired, since: at + 1 });
        else Object.assign(held, { isRetired, since: at + 1 });
        const sorted = model.toSorted((a, b) => a.name.localeCompare(b.name));
        expect(everyMember(members).map(memberName)).toEqual(sorted.map(({ name }) => name));
        expect(everyMember(members)).toMatchObject(
          sorted.map(({ isRetired: was, since }) => ({ isRetired: was, since })),
        );
        expect(presentMembers(members)).toEqual(everyMember(members).filter((each) => !each.isRetired));
        expect(membersNumber(members)).toBe(Math.max(0, ...model.map(({ since }) => since)));
      }
    }),
  );
});

test("changeMember() takes in no more nodes than it may, and changes those that it has", () => {
  let members: Members = new Map();
  for (let seq = 1; seq <= MEMBERS_MAX + 1; seq += 1) {
    members = changeMember(members, { act: "add", region: "oregon", node: `n${seq}`, seq });
  }
  expect(members.size).toBe(MEMBERS_MAX);
  expect(changeMember(members, { act: "retire", region: "oregon", node: "n1", seq: 5_000 }).get("oregon/n1")).toEqual({
    region: "oregon",
    node: "n1",
    since: 5_000,
    isRetired: true,
  });
});
