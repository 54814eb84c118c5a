import { expect, test } from "vitest";
import { runTerminal } from "../regions/train/run-terminal.ts";

function written(isTTY: boolean): { readonly isTTY: boolean; write(text: string): void; readonly texts: string[] } {
  const texts: string[] = [];
  return { isTTY, texts, write: (text) => void texts.push(text) };
}

test("progress of a run goes over the line before in a terminal, and into a file once a minute without another line", () => {
  const [out, err] = [written(true), written(false)];
  runTerminal({ out, err }, { json: false }).progress("1 %");
  expect(out.texts).toEqual(["\r\u001B[2K1 %"]);

  let now = 0;
  const { say, progress } = runTerminal({ out, err }, { json: true, nowMs: () => now });
  for (let second = 1; second <= 180; second += 1) {
    now = 1000 * second;
    progress(`${second} %`);
    if (second === 100) say("a window");
  }
  expect(err.texts).toEqual(["60 %\n", "a window\n", "160 %\n"]);
  expect(out.texts).toHaveLength(1);
});
