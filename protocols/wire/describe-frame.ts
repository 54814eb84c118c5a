import { decodeFrame } from "./frame-codec.ts";
import { type FrameSection } from "./frame.ts";

/** A frame as indented JSON for people: everything but the rows' contents, of which the first few are shown. Throws `DecodeError`. */
export function describeFrame(bytes: Uint8Array, options: { readonly rowsMax?: number } = {}): string {
  const frame = decodeFrame(bytes);
  const { pullId, answer, index, frames, urgent, declaration, hasState, end } = frame;
  const description = {
    frame: urgent === undefined ? `${index + 1} of ${frames}` : `urgent rows up to ${urgent}`,
    pullId,
    responder: answer.responder,
    answer: answer.number,
    declaration,
    optimizerState: hasState,
    bytes: bytes.length,
    tables: frame.sections.map((section) =>
      describeSection(section, { writers: frame.writers, rowsMax: options.rowsMax ?? 3 }),
    ),
    ...(frame.replaces && { replaces: "all that its asker holds" }),
    ...(end && {
      settledMicroseconds: end.horizon.settled,
      graveyard: Object.fromEntries(end.horizon.graveyard),
      expiredMicroseconds: Object.fromEntries(end.horizon.expired),
      knowledge: Object.fromEntries(end.knowledge),
      shardVersion: `${end.version.counter} of ${end.version.generator}`,
      earlyRows: end.early,
    }),
  };
  return JSON.stringify(description, undefined, 2);
}

function describeSection(
  section: FrameSection,
  { writers, rowsMax }: { writers: readonly string[]; rowsMax: number },
): unknown {
  const first: unknown[] = [];
  for (let row = 0; row < Math.min(rowsMax, section.keys.length); row += 1) {
    const values = section.values.subarray(row * section.valueBytes, (row + 1) * section.valueBytes);
    first.push({
      key: String(section.keys[row]),
      tMicroseconds: section.t[row],
      writer: writers[section.writers[row] ?? 0],
      ...(section.flags[row] === 1
        ? { deleted: true }
        : { valueHex: hexOf(values.subarray(0, 16)) + (values.length > 16 ? "..." : "") }),
    });
  }
  return {
    table: section.table,
    rows: section.keys.length,
    valueBytes: section.valueBytes,
    stateBytes: section.stateBytes,
    first,
  };
}

function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
