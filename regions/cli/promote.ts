import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { isToken } from "../../protocols/subjects.ts";
import { askNode, DEFAULT_URL, printable } from "./ask-node.ts";
import { type Command, WrongUsage } from "./command.ts";

const ASK_EVERY_MS = 300;

const reply = z.object({
  training: z.string(),
  term: z.number(),
  next: z.string().exactOptional(),
  waitsFor: z.string().exactOptional(),
  loses: z.string().exactOptional(),
});

/** `freshet promote`. */
export const promote: Command = {
  name: "promote",
  summary: "Have another region train",
  operands: "REGION [URL]",
  operandsMin: 1,
  operandsMax: 2,
  description: [
    `Has the node at URL (default: ${DEFAULT_URL}), one of the region that trains now, write into the region log that`,
    'REGION is to train, and waits until it does. REGION must be named in "standby" of every config, and answer. The old region',
    "ends its stream of samples, learns what is in it and pulls from REGION from then on; REGION takes over when its rows",
    "are the same: every event counts once. In between nobody learns, and all serve. Interrupted, the promotion goes on;",
    "`freshet promote REGION` shows how far it is. Both regions must be reachable.",
    "",
    "Where the region that trains is lost, or cut off for longer than you can do without learning, ask a node of REGION itself. It says that",
    "the other does not answer and what would be lost; with --force it takes over with what it holds. What the lost region learns behind the",
    "cut, and what REGION has not heard of, is refused everywhere from then on; when it is back it follows REGION by itself.",
  ].join("\n"),
  options: [
    {
      name: "force",
      about: "Take over from a region that does not answer; URL must be the node of REGION that is to train",
    },
    { name: "json", about: "Print what the node answered last, one JSON object, and no progress" },
  ],
  examples: [
    ["freshet promote frankfurt http://127.0.0.1:8042", "oregon's example node hands over to frankfurt"],
    ["freshet promote frankfurt --force http://127.0.0.1:8041", "oregon is lost: frankfurt's example node takes over"],
  ],
  run: async (args, terminal) => {
    const [region = "", url = DEFAULT_URL] = args.operands;
    if (!isToken(region)) throw new WrongUsage("promote", `${JSON.stringify(region)} is no region, such as frankfurt`);
    const token = terminal.env["FRESHET_TOKEN"];

    async function ask(post?: object): Promise<z.infer<typeof reply>> {
      const question = post === undefined ? { path: "/v1/training" } : { path: "/v1/promote", post };
      const { origin, body } = await askNode(url, { ...question, what: `${region} to train`, token });
      const parsed = reply.safeParse(body);
      if (parsed.success) return parsed.data;
      throw new Error(`Cannot read who trains at ${origin}: what answers there is no region node of this version`);
    }

    let told = "";
    let found = await ask();
    const force = args.flag("force");
    const isUnderWay = found.next === region && !force;
    if (!isUnderWay && (found.training !== region || found.next !== undefined)) {
      found = await ask(force ? { region, force } : { region });
    }
    if (found.loses !== undefined && !args.flag("json")) terminal.out.write(printable(found.loses).concat("\n"));
    while (found.training !== region) {
      if (found.next !== region) {
        throw new Error(
          `Cannot wait for ${region} to train: the log says otherwise by now, ${found.next ?? found.training}`,
        );
      }
      const line = printable(
        `${found.training} ${force ? "is replaced by" : "hands over to"} ${region}, term ${found.term}. ${found.waitsFor ?? ""}`,
      );
      if (line !== told && !args.flag("json")) terminal.out.write(`${line.trimEnd()}\n`);
      told = line;
      await delay(ASK_EVERY_MS);
      found = await ask();
    }
    terminal.out.write(
      args.flag("json")
        ? `${JSON.stringify(found)}\n`
        : printable(`${found.training} trains, term ${found.term}`).concat("\n"),
    );
    return 0;
  },
};
