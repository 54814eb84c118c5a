/** The known name that a mistyped one most likely meant, or undefined when none is near. */
export function nearestName(mistyped: string, known: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(mistyped.length / 3));
  const near = known
    .map((name) => ({ name, distance: editDistance(mistyped.slice(0, 64).toLowerCase(), name.toLowerCase()) }))
    .filter((candidate) => candidate.distance <= limit)
    .toSorted((left, right) => left.distance - right.distance);
  return near[0]?.name;
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from one text to the other. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
        swapped && row > 1 && column > 1 ? (beforeLast[column - 2] ?? 0) + 1 : Number.MAX_SAFE_INTEGER,
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
