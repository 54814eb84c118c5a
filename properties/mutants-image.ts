// Planted bugs in images: how they are taken, put together and written. The laws of images find them, not the worlds.
import { type Mutant } from "./mutant.ts";

export const IMAGE_MUTANTS: readonly Mutant[] = [
  {
    name: "head-of-another-moment",
    file: "protocols/sync/take-image.ts",
    edits: [
      [
        "    head,\n    applied,",
        "    get head() {\n      const { hasState, declared, writers } = store;\n      return encodeHead({ whole: rows.whole, hasState, declared, rows: [], greatestSeen: stamper.last, horizon: replica.horizon, knowledge: replica.knowledge, applied: replica.applied, writers });\n    },\n    applied,",
      ],
    ],
  },
  {
    name: "increment-without-drops",
    file: "protocols/sync/take-image.ts",
    edits: [["if (keys !== undefined) writeDropped(room, keys);", "if (keys !== undefined) continue;"]],
  },
  {
    name: "row-not-kept-aside",
    file: "protocols/sync/frozen-table.ts",
    edits: [["if (this.#moment !== undefined && this.#unread.delete(row)) this.#keepAside(row);", ""]],
  },
  {
    name: "lost-counts-as-kept",
    file: "protocols/sync/frozen-table.ts",
    edits: [['if (outcome === "kept" || moment === undefined) return;', "return;"]],
  },
  {
    name: "rows-before-drops",
    file: "protocols/sync/load-image.ts",
    edits: [
      ['if (block.kind === "dropped") store.dropKeys(block.dropped);', 'if (block.kind === "dropped") continue;'],
    ],
  },
  {
    name: "manifest-before-blocks",
    file: "runtime/commit-image.ts",
    edits: [
      [
        "  const segments = [...before, await writer.finish(head)];\n",
        "  const finished = writer.finish(head);\n  const named = { id: writer.id, bytes: 0, checksum: 0 };\n  await writeManifest(place, [...before, named]);\n  const segments = [...before, await finished];\n",
      ],
    ],
  },
  {
    name: "not-written-through",
    file: "runtime/segment-files.ts",
    edits: [["      await this.#file.write(parts);", "      void this.#file.write(parts);"]],
  },
  {
    name: "names-not-synced",
    file: "runtime/image-files.ts",
    edits: [["  await disk.syncNames(current);\n", ""]],
  },
  {
    name: "previous-swept",
    file: "runtime/image-files.ts",
    edits: [
      [
        'const kept = new Set<string>();\n  for (const age of ["current", "previous"] as const) {',
        'const kept = new Set<string>();\n  for (const age of ["current"] as const) {',
      ],
    ],
  },
  {
    name: "manifest-in-place",
    file: "runtime/image-files.ts",
    edits: [
      [
        'const saving = join(folder, `image-${name}.${newSegmentId()}.saving`);\n  const current = imagePath(place, "current");',
        'const current = imagePath(place, "current");\n  const saving = current;',
      ],
    ],
  },
  {
    name: "block-checksum-off",
    file: "runtime/block-packing.ts",
    edits: [
      [
        "if (stored.length !== block.storedBytes || crc32(stored) !== block.checksum) {",
        "if (stored.length !== block.storedBytes) {",
      ],
    ],
  },
];

/** Planted bugs in how a training run is kept. */
export const RUN_IMAGE_MUTANTS: readonly Mutant[] = [
  {
    name: "part-cut-short",
    file: "regions/train/run-image.ts",
    edits: [["from < part.length; from += pieceBytes", "from + pieceBytes <= part.length; from += pieceBytes"]],
  },
  {
    name: "part-not-left",
    file: "regions/train/run-image.ts",
    edits: [["if (at === into.length) [part, at] = [part + 1, 0];", "[part, at] = [part + 1, 0];"]],
  },
  {
    name: "piece-over-the-end-of-its-part",
    file: "regions/train/run-image.ts",
    edits: [["from + into.length - at);", "from + into.length);"]],
  },
  {
    name: "first-pieces-only",
    file: "regions/train/run-image.ts",
    edits: [["    from = to;\n", "    break;\n"]],
  },
  {
    name: "size-not-compared",
    file: "regions/train/run-image.ts",
    edits: [["if (held !== room) throw", "if (held > room) throw"]],
  },
  {
    name: "damage-ends-the-search",
    file: "regions/train/run-image.ts",
    edits: [["if (!(error instanceof DecodeError)) throw error;", "throw error;"]],
  },
  {
    name: "damage-not-told",
    file: "regions/train/run-image.ts",
    edits: [["if (why !== undefined) onDamage(why);", ""]],
  },
  {
    name: "damage-is-nothing",
    file: "regions/train/run-image.ts",
    edits: [["if (why === undefined) return undefined;", "if (images.length === 0) return undefined;"]],
  },
  {
    name: "kept-before-it-is-there",
    file: "regions/train/run-image.ts",
    edits: [
      [
        "      await writer.append(part.subarray(from, from + pieceBytes));\n",
        "      void writer.append(part.subarray(from, from + pieceBytes));\n",
      ],
      ["  await commitSegment(place", "  void commitSegment(place"],
    ],
  },
];

/** Planted bugs in how a backup is taken apart and put in place. */
export const BACKUP_MUTANTS: readonly Mutant[] = [
  {
    name: "backup-end-not-looked-for",
    file: "regions/snapshot/unpack.ts",
    edits: [["createTarDecoder({ strict: true })", "createTarDecoder()"]],
  },
  {
    name: "backup-list-not-compared",
    file: "regions/snapshot/unpack.ts",
    edits: [["for (const { name, bytes } of of.list ?? []) {", "for (const { name, bytes } of [] as BackupFile[]) {"]],
  },
  {
    name: "backup-not-written-through",
    file: "regions/snapshot/unpack.ts",
    edits: [["if (bytes > 0) await file.write(parts);", "if (bytes > 0) void file.write(parts);"]],
  },
  {
    name: "restored-not-durable",
    file: "regions/snapshot/restore.ts",
    edits: [["  await disk.rename(from, to);\n  await disk.syncNames(to);", "  await disk.rename(from, to);"]],
  },
  {
    name: "restored-before-it-is-there",
    file: "regions/snapshot/unpack.ts",
    edits: [
      [
        "await writeThrough(body, { disk, path: join(folder, name) });",
        'await writeThrough(body, { disk, path: join("/shards", name) });',
      ],
    ],
  },
];
