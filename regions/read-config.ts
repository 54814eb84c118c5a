import { readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type BackendChoice, backendChoice } from "../runtime/compute/backends.ts";
import { parseDocument, valueAt } from "./config-document.ts";
import { allowedText, fieldsAt } from "./config-fields.ts";
import {
  type ConfigProblem,
  describeGiven,
  describeProblem,
  findings,
  offsetAt,
  positionAt,
  writePath,
} from "./config-problem.ts";
import { brokenRules } from "./config-rules.ts";
import { type Secret } from "./config-values.ts";
import { type RegionConfigFile, regionConfigSchema } from "./config.ts";
import { sharedSecret } from "./secret.ts";
import { NODE_USER } from "./server-users.ts";
import { type Environment, stateHome } from "./state-home.ts";

/** A region node's configuration, whole and checked: every default is filled in and every path absolute. */
export interface RegionConfig extends Omit<
  RegionConfigFile,
  "$schema" | "state" | "nodes" | "grants" | "peers" | "compute"
> {
  /** The file it came from, for messages. */
  readonly file: string;
  readonly state: string;
  /** All nodes of this region, in the file's order. */
  readonly nodes: readonly string[];
  readonly grants: readonly Grant[];
  readonly peers: readonly Peer[];
  readonly compute: BackendChoice;
}

/** A peer region that may connect here. */
export interface Grant {
  readonly region: string;
  readonly password: Secret;
}

/** A peer region to connect to. */
export interface Peer {
  readonly region: string;
  readonly url: string;
  /** The nodes of that region. */
  readonly nodes: readonly string[];
  readonly password: Secret;
  readonly tls?: { readonly ca?: string | undefined } | undefined;
  readonly compress: "never" | "zstd";
  /** Bytes of rows a second that each of our nodes may pull from there. */
  readonly budget?: number | undefined;
}

/** A config file cannot be used. Lists everything that is wrong in it. */
export class BadConfig extends Error {
  override readonly name = "BadConfig";
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    super(
      `Cannot use ${file}: ${problems.length} ${problems.length === 1 ? "problem" : "problems"}\n${problems.map((each) => `  ${describeProblem(each)}`).join("\n")}`,
    );
    this.problems = problems;
  }
}

const FILE_BYTES_MAX = 1_000_000;

/** Reads and checks a config file; throws `BadConfig` with every problem in it. Secrets are not read. */
export async function readConfig(file: string, options: { readonly env?: Environment } = {}): Promise<RegionConfig> {
  function whole(given: string, allowed: string): BadConfig {
    return new BadConfig(file, [{ file, line: 1, column: 1, path: "", given, allowed }]);
  }
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > FILE_BYTES_MAX) throw whole(`${size} bytes long`, `at most ${FILE_BYTES_MAX} bytes`);
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof BadConfig) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw whole(code === "ENOENT" ? "not there" : `not readable (${code})`, "a config file in JSON with comments");
  }
  return parseConfig(text, { file, folder: dirname(resolve(file)), ...options });
}

/** The same for text that is at hand; paths in it are relative to `folder`. */
export function parseConfig(
  text: string,
  from: { readonly file: string; readonly folder: string; readonly env?: Environment },
): RegionConfig {
  const { file, folder } = from;
  const { root, value, problems } = parseDocument(text);
  function locate(
    offset: number,
    path: readonly PropertyKey[],
    said: { readonly given: string; readonly allowed: string },
  ): ConfigProblem {
    return { file, ...positionAt(text, offset), path: writePath(path), ...said };
  }
  const written = problems.map(({ offset, path, given, allowed }) => locate(offset, path, { given, allowed }));
  if (root === undefined) throw new BadConfig(file, written);

  const parsed = regionConfigSchema(folder).safeParse(value, { error: allowedText });
  const found = [
    ...(parsed.success
      ? []
      : findings(parsed.error.issues, { keysAt: (path) => fieldsAt(path, valueAt(value, path)) })),
    ...brokenRules(value),
  ];
  const all = oneEach([
    ...written,
    ...found.map((each) => {
      const given = "unknownKey" in each ? "unknown" : describeGiven(valueAt(value, each.path), each.path);
      return locate(offsetAt(root, each.path), each.path, { given, allowed: each.allowed });
    }),
  ]);
  if (!parsed.success || all.length > 0) {
    throw new BadConfig(
      file,
      all.toSorted((left, right) => left.line - right.line || left.column - right.column),
    );
  }
  return complete(parsed.data, { file, ...(from.env === undefined ? {} : { env: from.env }) });
}

/** The first problem of each place: what else is wrong there shows once that is mended. */
function oneEach(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const first = new Map<string, ConfigProblem>();
  for (const problem of problems) {
    const place = `${problem.line}:${problem.column} ${problem.path}`;
    if (!first.has(place)) first.set(place, problem);
  }
  return [...first.values()];
}

function complete(config: RegionConfigFile, from: { readonly file: string; readonly env?: Environment }): RegionConfig {
  const { $schema: _, state, grants, peers, nats, compute, nodes = [config.node], ...rest } = config;
  const { region } = config;
  return {
    ...rest,
    file: from.file,
    state: state ?? join(stateHome(from.env), `${region}-${config.node}`),
    nodes,
    compute: backendChoice(compute, from.env ?? process.env),
    nats: withSiblings(nats, { region, isAlone: nodes.length === 1, env: from.env }),
    grants: grants.map((grant) => ({
      region: grant.region,
      password: grant.password ?? sharedSecret({ grantor: region, grantee: grant.region }, from.env),
    })),
    peers: peers.map((peer) => ({
      ...peer,
      password: peer.password ?? sharedSecret({ grantor: peer.region, grantee: region }, from.env),
    })),
  };
}

/** The password between the nodes of one region, where no file names it. */
function withSiblings(
  nats: RegionConfigFile["nats"],
  {
    region,
    isAlone,
    env,
  }: { readonly region: string; readonly isAlone: boolean; readonly env: Environment | undefined },
): RegionConfigFile["nats"] {
  const shared = sharedSecret({ grantor: region, grantee: region }, env);
  if (nats.kind === "own") return isAlone ? nats : { ...nats, nodesPassword: nats.nodesPassword ?? shared };
  return nats.node === undefined ? nats : { ...nats, user: NODE_USER, password: nats.password ?? shared };
}
