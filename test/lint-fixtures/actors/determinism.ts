export const readings: readonly unknown[] = [
  Date.now(), // expect eslint(no-restricted-globals)
  new Date(), // expect eslint(no-restricted-globals)
  performance.now(), // expect eslint(no-restricted-globals)
  Math.random(), // expect eslint(no-restricted-properties)
  Math["random"](), // expect eslint(no-restricted-properties)
  crypto.randomUUID(), // expect eslint(no-restricted-globals)
  process.pid, // expect eslint(no-restricted-globals)
  globalThis, // expect eslint(no-restricted-globals)
  AbortSignal.timeout(1), // expect eslint(no-restricted-properties)
  setTimeout(Boolean, 1), // expect eslint(no-restricted-globals)
  setInterval(Boolean, 1), // expect eslint(no-restricted-globals)
  setImmediate(Boolean), // expect eslint(no-restricted-globals)
];

export const { random } = Math; // expect eslint(no-restricted-properties)

export function report(text: string): void {
  queueMicrotask(() => text); // expect eslint(no-restricted-globals)
  console.log(text); // expect eslint(no-restricted-globals) eslint(no-console)
}
