import * as z from "zod";
import { isToken } from "../../protocols/subjects.ts";
import { type Arguments } from "./arguments.ts";
import { askNode, DEFAULT_URL, type NodeQuestion, printable } from "./ask-node.ts";
import { type Command, type Terminal, WrongUsage } from "./command.ts";

const OPTIONS = [{ name: "json", about: "Print what the node answered, one JSON object" }];
const TRAINS = "Only nodes of the region that trains can do it. What the region log says, all nodes follow.";

/** `freshet member ls`. */
export const memberLs: Command = {
  name: "member ls",
  summary: "List the nodes that hold the rows",
  operands: "[URL]",
  operandsMin: 0,
  operandsMax: 1,
  description: [
    `Asks the HTTP address of any node (default: ${DEFAULT_URL}) for the members, as it has followed the region log.`,
    "What all members know is known everywhere, and only then a deleted row can be forgotten.",
  ].join("\n"),
  options: OPTIONS,
  examples: [["freshet member ls http://127.0.0.1:8041", "as the example node of Frankfurt knows them"]],
  run: (args, terminal) => {
    const [url = DEFAULT_URL] = args.operands;
    return show(url, { path: "/v1/members", what: "its members" }, { args, terminal });
  },
};

/** `freshet member add`. */
export const memberAdd: Command = {
  name: "member add",
  summary: "Make a node a member",
  operands: "REGION/NODE [URL]",
  operandsMin: 1,
  operandsMax: 2,
  description: [
    `Has the node at URL (default: ${DEFAULT_URL}) write into the region log that REGION/NODE is a member. The nodes`,
    "that the training node's config names become members by themselves, unless they were retired before.",
    TRAINS,
  ].join("\n"),
  options: OPTIONS,
  examples: [["freshet member add singapore/b http://127.0.0.1:8042", "oregon's example node writes it"]],
  run: (args, terminal) => change("add", args, terminal),
};

/** `freshet member retire`. */
export const memberRetire: Command = {
  name: "member retire",
  summary: "Wait for a node no longer",
  operands: "REGION/NODE [URL]",
  operandsMin: 1,
  operandsMax: 2,
  description: [
    `Has the node at URL (default: ${DEFAULT_URL}) write into the region log that REGION/NODE is a member no longer:`,
    "nothing is kept for it. Retire a node that is gone for good.",
    TRAINS,
  ].join("\n"),
  options: OPTIONS,
  examples: [["freshet member retire frankfurt/b http://127.0.0.1:8042", "frankfurt/b is gone for good"]],
  run: (args, terminal) => change("retire", args, terminal),
};

const reply = z.object({
  number: z.number(),
  training: z.string(),
  members: z.array(z.object({ region: z.string(), node: z.string(), since: z.number(), isRetired: z.boolean() })),
});

async function change(act: "add" | "retire", args: Arguments, terminal: Terminal): Promise<number> {
  const [name = "", url = DEFAULT_URL] = args.operands;
  const [region = "", node = "", ...more] = name.split("/");
  if (!isToken(region) || !isToken(node) || more.length > 0) {
    throw new WrongUsage(`member ${act}`, `${JSON.stringify(name)} is no REGION/NODE, such as frankfurt/b`);
  }
  const what = act === "add" ? `${name} to be a member` : `${name} to be retired`;
  return show(url, { path: `/v1/members/${act}`, what, post: { region, node } }, { args, terminal });
}

async function show(
  url: string,
  question: Omit<NodeQuestion, "token">,
  { args, terminal }: { readonly args: Arguments; readonly terminal: Terminal },
): Promise<number> {
  const { origin, body } = await askNode(url, { ...question, token: terminal.env["FRESHET_TOKEN"] });
  const parsed = reply.safeParse(body);
  if (!parsed.success) {
    throw new Error(`Cannot read the members of ${origin}: what answers there is no region node of this version`);
  }
  const { number, training, members } = parsed.data;
  const lines = members.map(({ region, node, since, isRetired }) =>
    printable(`  ${`${region}/${node}`.padEnd(24)}  ${isRetired ? "retired" : "member "}  since entry ${since}`),
  );
  terminal.out.write(
    args.flag("json")
      ? `${JSON.stringify(body)}\n`
      : `${[printable(`members, number ${number}; ${training} trains`), ...lines].join("\n")}\n`,
  );
  return 0;
}
