/** What something that was thrown says of itself, for a log or an answer. Anything may be thrown, not only errors. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
