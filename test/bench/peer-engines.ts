/*
 * Libraries that replicate maps, as the benchmark drives them: a round of updates is one transaction, of which the other side is sent what is
 * new; who comes back says what it has and is sent the rest. They are whatever the folder named with --peers has installed.
 */
import { createRequire } from "node:module";
import { join } from "node:path";

export const PEER_NAMES = ["yjs", "loro", "automerge"] as const;
export type PeerName = (typeof PEER_NAMES)[number];

/** A key and its new value, which the engine may keep. */
export type PeerUpdate = readonly [key: string, value: Uint8Array];

export interface PeerEngine {
  /** Applies a round of updates; gives what a replica that has all before it is sent. */
  round(updates: readonly PeerUpdate[]): Uint8Array;
  apply(update: Uint8Array): void;
  /** What this side has, as `since` reads it. */
  has(): Uint8Array;
  since(has: Uint8Array): Uint8Array;
  get(key: string): Uint8Array | undefined;
}

/** The package of each, for who wants to install it. */
export const PEER_PACKAGES: Readonly<Record<PeerName, string>> = {
  yjs: "yjs",
  loro: "loro-crdt",
  automerge: "@automerge/automerge",
};

/** The engine, or undefined when the folder has no such package. */
export function openPeer(name: PeerName, folder: string): PeerEngine | undefined {
  const require = createRequire(join(folder, "package.json"));
  let loaded: unknown;
  try {
    loaded = require(PEER_PACKAGES[name]);
  } catch {
    return undefined;
  }
  switch (name) {
    // Each has the functions that its documentation names; none is a dependency whose types could say so.
    case "yjs":
      // oxlint-disable-next-line typescript/consistent-type-assertions
      return yjs(loaded as Yjs);
    case "loro":
      // oxlint-disable-next-line typescript/consistent-type-assertions
      return loro(loaded as Loro);
    case "automerge":
      // oxlint-disable-next-line typescript/consistent-type-assertions
      return automerge(loaded as Automerge);
  }
}

interface Yjs {
  readonly Doc: new () => {
    getMap(name: string): { set(key: string, value: Uint8Array): void; get(key: string): Uint8Array | undefined };
    on(event: "update", call: (update: Uint8Array) => void): void;
    transact(work: () => void): void;
  };
  readonly applyUpdate: (doc: unknown, update: Uint8Array) => void;
  readonly encodeStateVector: (doc: unknown) => Uint8Array;
  readonly encodeStateAsUpdate: (doc: unknown, has: Uint8Array) => Uint8Array;
}

function yjs({ Doc, applyUpdate, encodeStateVector, encodeStateAsUpdate }: Yjs): PeerEngine {
  const doc = new Doc();
  const rows = doc.getMap("rows");
  let last = new Uint8Array();
  doc.on("update", (update) => (last = new Uint8Array(update)));
  return {
    round: (updates) => {
      doc.transact(() => {
        for (const [key, value] of updates) rows.set(key, value);
      });
      return last;
    },
    apply: (update) => applyUpdate(doc, update),
    has: () => encodeStateVector(doc),
    since: (has) => encodeStateAsUpdate(doc, has),
    get: (key) => rows.get(key),
  };
}

interface LoroVersion {
  encode(): Uint8Array;
}

interface Loro {
  readonly LoroDoc: new () => {
    getMap(name: string): { set(key: string, value: Uint8Array): void; get(key: string): Uint8Array | undefined };
    commit(): void;
    export(options: { mode: "update"; from: LoroVersion }): Uint8Array;
    import(update: Uint8Array): void;
    oplogVersion(): LoroVersion;
  };
  readonly VersionVector: { decode(has: Uint8Array): LoroVersion };
}

function loro({ LoroDoc, VersionVector }: Loro): PeerEngine {
  const doc = new LoroDoc();
  const rows = doc.getMap("rows");
  let sent = doc.oplogVersion();
  return {
    round: (updates) => {
      for (const [key, value] of updates) rows.set(key, value);
      doc.commit();
      const update = doc.export({ mode: "update", from: sent });
      sent = doc.oplogVersion();
      return update;
    },
    apply: (update) => doc.import(update),
    has: () => doc.oplogVersion().encode(),
    since: (has) => doc.export({ mode: "update", from: VersionVector.decode(has) }),
    get: (key) => rows.get(key),
  };
}

interface AutomergeDoc {
  readonly rows: Record<string, Uint8Array>;
}

interface Automerge {
  from(first: AutomergeDoc): AutomergeDoc;
  init(): AutomergeDoc;
  change(doc: AutomergeDoc, change: (draft: AutomergeDoc) => void): AutomergeDoc;
  saveSince(doc: AutomergeDoc, heads: readonly string[]): Uint8Array;
  loadIncremental(doc: AutomergeDoc, update: Uint8Array): AutomergeDoc;
  getHeads(doc: AutomergeDoc): readonly string[];
}

function automerge(lib: Automerge): PeerEngine {
  let doc: AutomergeDoc | undefined;
  let sent: readonly string[] = [];
  return {
    round: (updates) => {
      doc = lib.change(doc ?? lib.from({ rows: {} }), ({ rows }) => {
        for (const [key, value] of updates) rows[key] = value;
      });
      const update = lib.saveSince(doc, sent);
      sent = lib.getHeads(doc);
      return update;
    },
    apply: (update) => {
      doc = lib.loadIncremental(doc ?? lib.init(), update);
    },
    has: () => new TextEncoder().encode(JSON.stringify(doc === undefined ? [] : lib.getHeads(doc))),
    since: (has) => {
      // What `has` wrote.
      // oxlint-disable-next-line typescript/no-unsafe-assignment
      const heads: readonly string[] = JSON.parse(new TextDecoder().decode(has));
      return lib.saveSince(doc ?? lib.init(), heads);
    },
    get: (key) => doc?.rows[key],
  };
}
