export { draw } from "../actors/draw.ts";
export { compare } from "../protocols/sync/version.ts";
export { pause } from "../runtime/clean.ts";

export function greet(name: string): void {
  console.log(`Region ${name}`);
}
