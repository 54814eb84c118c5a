import * as z from "zod";
import { repeated } from "./config-model.ts";
import { isLoopback } from "./config-values.ts";

/*
 * What must hold between fields of a config file. Looked at apart from the schema and with little asked of the shape, so that
 * these problems are listed together with the others, and not only once those are mended.
 */

const named = z
  .array(
    z
      .looseObject({ region: z.string().catch(""), password: z.unknown().optional() })
      .catch({ region: "", password: {} }),
  )
  .catch([]);

const loose = z.looseObject({
  region: z.string().catch(""),
  training: z.string().catch(""),
  peers: named,
  grants: named,
  models: z.array(z.looseObject({ name: z.string().catch("") }).catch({ name: "" })).catch([]),
  nats: z
    .looseObject({ listen: z.string().optional().catch(undefined), url: z.unknown().optional() })
    .catch({ url: undefined }),
});

/** One problem: where, and what is allowed there. */
export interface RuleProblem {
  readonly path: readonly (string | number)[];
  readonly allowed: string;
}

/** The rules between fields that a parsed file breaks. Fields of the wrong shape break none. */
export function brokenRules(value: unknown): readonly RuleProblem[] {
  const parsed = loose.safeParse(value);
  if (!parsed.success) return [];
  const { region, training, peers, grants, models, nats } = parsed.data;
  const problems: RuleProblem[] = [];

  for (const [list, what] of [
    [peers, "peers"],
    [grants, "grants"],
  ] as const) {
    const regions = list.map((each) => each.region);
    for (const [index, name] of regions.entries()) {
      if (name === region && name !== "") {
        problems.push({ path: [what, index, "region"], allowed: `another region than this node's own, ${region}` });
      }
    }
    for (const index of repeated(regions)) {
      if (regions[index] !== "") {
        problems.push({ path: [what, index, "region"], allowed: `a region that stands once in ${what}` });
      }
    }
  }
  const names = models.map((model) => model.name);
  for (const index of repeated(names)) {
    if (names[index] !== "") {
      problems.push({ path: ["models", index, "name"], allowed: "a name that no other model has" });
    }
  }
  const regions = [region, ...peers.map((peer) => peer.region)].filter((name) => name !== "");
  if (training !== "" && region !== "" && !regions.includes(training)) {
    problems.push({ path: ["training"], allowed: `this node's region or that of a peer: ${regions.join(", ")}` });
  }
  if (nats.url !== undefined && grants.length > 0) {
    problems.push({
      path: ["grants"],
      allowed: "nothing, beside an external nats-server: its own configuration says who may connect",
    });
  }
  const host = nats.listen?.replace(/:\d*$/, "");
  if (host !== undefined && !isLoopback(host)) {
    for (const [index, grant] of grants.entries()) {
      if (grant.password === undefined) {
        problems.push({
          path: ["grants", index, "password"],
          allowed: "a secret, where other machines can reach the server",
        });
      }
    }
  }
  return problems;
}
