import { createReadStream } from "node:fs";
import { type Readable } from "node:stream";
import { DecodeError } from "../../protocols/wire/decode-error.ts";
import { isPacked, unpackBytes } from "../../runtime/transport/compression.ts";
import { type Command } from "./command.ts";

const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

/** `freshet decode`. */
export const decode: Command = {
  name: "decode",
  summary: "Print a message readably: a frame of rows, samples, or JSON",
  operands: "[FILE]",
  operandsMin: 0,
  operandsMax: 1,
  description: [
    "Reads one message body from FILE, or from standard input without one or with -. JSON is printed indented; samples as JSON, all of them; a binary frame of rows field by field.",
    "Exit code 1 for bytes that are none of these.",
  ].join("\n"),
  options: [],
  examples: [
    ["nats sub --translate 'freshet decode' 'freshet.*.shard.*.frame.*'", "every frame of rows, as it passes"],
  ],
  run: async (args, terminal) => {
    const [file = "-"] = args.operands;
    const bytes = await readAll(
      file === "-" ? terminal.input : createReadStream(file),
      file === "-" ? "standard input" : file,
    );
    const described = await describeMessage(bytes);
    (described.kind === "readable" ? terminal.out : terminal.err).write(`${described.text}\n`);
    return described.kind === "readable" ? 0 : 1;
  },
};

/** What `decode` says of a message body. */
interface Described {
  readonly kind: "readable" | "undecodable";
  readonly text: string;
}

/** Describes a message body, whatever it is. */
async function describeMessage(given: Uint8Array): Promise<Described> {
  const bytes = (isPacked(given) ? unpackBytes(given) : undefined) ?? given;
  if (bytes.length === 0) return { kind: "readable", text: "(empty message)" };
  const json = parseJson(bytes);
  if (json !== undefined) return { kind: "readable", text: JSON.stringify(json.value, undefined, 2) };
  const described = await describeSamples(bytes);
  if (described !== undefined) return described;
  const { describeFrame } = await import("../../protocols/wire/describe-frame.ts");
  try {
    const packed = bytes === given ? "" : `compressed to ${given.length} bytes\n`;
    return { kind: "readable", text: packed + describeFrame(bytes) };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return undecodable(bytes, error, "it is no JSON, no samples and no frame");
  }
}

/** A message of samples, one after the other, as they were when such messages were JSON; undefined of any other message. */
async function describeSamples(bytes: Uint8Array): Promise<Described | undefined> {
  const { isSampleFrame } = await import("../../protocols/learning/sample-frame.ts");
  if (!isSampleFrame(bytes)) return undefined;
  const { decodeSampleBatch } = await import("../../protocols/learning/sample-codec.ts");
  try {
    return { kind: "readable", text: JSON.stringify(decodeSampleBatch(bytes), undefined, 2) };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return undecodable(bytes, error, "it begins as samples do and is damaged, or of a later version");
  }
}

function undecodable(bytes: Uint8Array, error: DecodeError, why: string): Described {
  const head = Buffer.from(bytes.subarray(0, 16))
    .toString("hex")
    .replaceAll(/(..)(?=.)/g, "$1 ");
  const text = `Cannot decode this message: ${why}\n  ${error.message}\n  ${bytes.length} bytes, beginning ${head}`;
  return { kind: "undecodable", text };
}

function parseJson(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return { value };
  } catch {
    // Not UTF-8, or not JSON: then it may be a frame.
    return undefined;
  }
}

async function readAll(input: Readable, name: string): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of input) {
      const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      bytes += part.length;
      if (bytes > MESSAGE_BYTES_MAX) {
        throw new RangeError(`Cannot decode ${name}: it is longer than 64 MB, and no message is`);
      }
      chunks.push(part);
    }
  } catch (error) {
    if (error instanceof RangeError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new Error(`Cannot read ${name}: ${code === "ENOENT" ? "there is no such file" : code}`, { cause: error });
  }
  return Buffer.concat(chunks);
}
