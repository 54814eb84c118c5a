// Goal: a subject's parts come back as they went in, and whatever is no subject is none. Method: drawn tokens; one part wrong at a time.
import fc from "fast-check";
import { expect, test } from "vitest";
import { actorSubscription, buildSubject, isToken, parseSubject, type SubjectParts } from "../protocols/subjects.ts";

const ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789".split("");
const tokens = fc
  .tuple(
    fc.constantFrom(...ALNUM),
    fc.array(fc.constantFrom(...ALNUM, "-", "_"), { maxLength: 62 }),
    fc.constantFrom("", ...ALNUM),
  )
  .map(([first, middle, last]) => (last === "" ? first : `${first}${middle.join("")}${last}`));
const NO_TOKENS = ["", "-", "a-", "_a", "A", "aB", "a.b", "a b", "é", "a\n", "*", ">", "a".repeat(65)];
const PARTS = ["toRegion", "kind", "id", "message", "fromRegion"] as const;

const subjects: fc.Arbitrary<SubjectParts> = fc
  .tuple(tokens, tokens, tokens, tokens, tokens)
  .map(([toRegion, kind, id, message, fromRegion]) => ({ toRegion, kind, id, message, fromRegion }));

test("isToken() takes 1 to 64 letters, digits, '-' and '_' that begin and end with a letter or digit", () => {
  fc.assert(
    fc.property(tokens, (token) => {
      expect(isToken(token)).toBe(true);
    }),
  );
  expect(isToken("a".repeat(64))).toBe(true);
  expect(NO_TOKENS.filter(isToken)).toEqual([]);
});

test("parseSubject() gives back what buildSubject() was given, in the documented order", () => {
  fc.assert(
    fc.property(subjects, (parts) => {
      expect(parseSubject(buildSubject(parts))).toEqual(parts);
    }),
  );
  const parts = { toRegion: "oregon", kind: "shard", id: "clicks-0", message: "pull", fromRegion: "frankfurt" };
  expect(buildSubject(parts)).toBe("freshet.oregon.shard.clicks-0.pull.frankfurt");
});

test("with one part that is no token a subject is neither built nor read, and the error says which and what", () => {
  fc.assert(
    fc.property(subjects, fc.constantFrom(...PARTS), fc.constantFrom(...NO_TOKENS), (parts, part, wrong) => {
      const broken: SubjectParts = { ...parts, [part]: wrong };
      const { toRegion, kind, id, message, fromRegion } = broken;
      expect(() => buildSubject(broken)).toThrow(`as ${part}:`);
      expect(parseSubject(`freshet.${toRegion}.${kind}.${id}.${message}.${fromRegion}`)).toBeUndefined();
    }),
  );
});

test("parseSubject() takes no other prefix, and no more and no fewer parts", () => {
  expect(parseSubject("freshets.a.b.c.d.e")).toBeUndefined();
  expect(parseSubject("freshet.a.b.c.d")).toBeUndefined();
  expect(parseSubject("freshet.a.b.c.d.e.f")).toBeUndefined();
  expect(parseSubject("")).toBeUndefined();
});

test("actorSubscription() is all that is sent to one actor, and is refused for what is no actor", () => {
  expect(actorSubscription({ region: "oregon", kind: "shard", id: "clicks-0" })).toBe(
    "freshet.oregon.shard.clicks-0.*.*",
  );
  expect(() => actorSubscription({ region: "*", kind: "b", id: "c" })).toThrow("as region:");
  expect(() => actorSubscription({ region: "a", kind: "*", id: "c" })).toThrow("as kind:");
  expect(() => actorSubscription({ region: "a", kind: "b", id: ">" })).toThrow("as id:");
});
