import { expect } from "vitest";

/** Elements that stand without an end in HTML. */
const VOID = new Set(["meta", "br", "hr", "img", "link", "input", "!doctype"]);

/** Reads a page or a drawing tag by tag: each is ended where it must be, no attribute is left open, and no number is none. */
export function expectSoundMarkup(text: string): void {
  const open: string[] = [];
  let at = 0;
  for (const tag of text
    .replaceAll(/<style>[^<]*<\/style>/g, "")
    .matchAll(/([^<]*)<(\/?)([!a-zA-Z][a-zA-Z0-9]*)([^>]*?)(\/?)>/gy)) {
    const [whole, between = "", slash = "", name = "", attributes = "", ends = ""] = tag;
    expect(between).not.toMatch(/[<>]|&(?!amp;|lt;|gt;|quot;)/);
    expect(attributes).toMatch(/^(?:\s+[a-zA-Z][a-zA-Z0-9-]*(?:="[^"<>]*")?)*\s*$/);
    if (slash === "/") expect(open.pop()).toBe(name);
    else if (ends === "" && !VOID.has(name)) open.push(name);
    at = tag.index + whole.length;
  }
  expect(open).toEqual([]);
  expect(
    text
      .replaceAll(/<style>[^<]*<\/style>/g, "")
      .slice(at)
      .trim(),
  ).toBe("");
  expect(text).not.toMatch(/NaN|Infinity|undefined/);
}
