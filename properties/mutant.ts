/** One bug: the edits that plant it. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly edits: readonly (readonly [find: string, replace: string])[];
  /** It shows in a world that is run twice. */
  readonly twice?: true;
}
