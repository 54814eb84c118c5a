/** Work without state, as a pool does it. */
export function double(value: number): number {
  return value * 2;
}

export function fail(text: string): never {
  throw new RangeError(text);
}

export function spin(): never {
  for (;;);
}
