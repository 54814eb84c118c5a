import type { ActorName } from "./actor.ts"; // expect import(consistent-type-specifier-style)
import { pause } from "./clean.ts";

export type Kind = "told" | "asked";

export default 1; // expect import(no-default-export)

export namespace Old { // expect typescript(no-namespace)
  export const answer = 42;
}

export let loose: any; // expect typescript(no-explicit-any) import(no-mutable-exports)

export function loosen(): void {
  loose = 1;
}

export const arrow = () => 1; // expect eslint(func-style) typescript(explicit-module-boundary-types)

export function first(names: ActorName[]): ActorName {
  console.log(names.length); // expect eslint(no-console)
  pause(); // expect typescript(no-floating-promises)
  return names[0]!; // expect typescript(no-non-null-assertion)
}

export function cast(value: unknown): ActorName {
  return value as ActorName; // expect typescript(consistent-type-assertions)
}

export function isAsked(kind: Kind): boolean {
  switch (kind) { // expect typescript(switch-exhaustiveness-check)
    case "asked":
      return true;
  }
  return false;
}

export function quiet(text: string): string {
  return text; // oxlint-disable-line // expect unicorn(no-abusive-eslint-disable) (unused-directive)
}
