/** What became of an image that was to be written. A failed save changes nothing on disk. */
export type SaveOutcome =
  | { readonly kind: "saved"; readonly bytes: number }
  | { readonly kind: "failed"; readonly code: "full" | "denied" | "io"; readonly message: string };

/** Whole files by name, written so that a crash at any byte leaves the last one. Served by `file-store.ts`. */
export interface FileStoreProtocol {
  readonly save: { request: { readonly name: string; readonly bytes: Uint8Array }; reply: SaveOutcome };
  /** Newest first: the current one and the one before, where they exist. */
  readonly load: { request: { readonly name: string }; reply: { readonly images: readonly Uint8Array[] } };
}
