/** Newer is greater; `writer` breaks ties. */
export interface Version {
  readonly t: number;
  readonly writer: string;
}

export function compare(left: Version, right: Version): number {
  if (left.t !== right.t) return left.t - right.t;
  return left.writer < right.writer ? -1 : 1;
}
