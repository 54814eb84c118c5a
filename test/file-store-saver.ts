/*
 * A process of its own for the store. `loop FOLDER WORDS FIRST` saves one image after the other, says each one's number once it is saved,
 * and waits to be killed. `fill FOLDER` saves small images and one that is larger than the disk or the limit, and says what became of each.
 */
import { spawnSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { numberedImage, openStore, soon } from "./file-store-support.ts";

const [mode, folder = "", words = "", first = ""] = process.argv.slice(2);
await using store = await openStore({ folder: join(folder, "images") });
const { files } = store;

function save(bytes: Uint8Array): ReturnType<typeof files.ask<"save">> {
  return files.ask("save", { name: "a", bytes }, { signal: soon() });
}

if (mode === "loop") {
  for (let number = Number(first); ; number += 1) {
    const outcome = await save(numberedImage(number, Number(words)));
    if (outcome.kind === "failed") throw new Error(outcome.message);
    process.stdout.write(`${number}\n`);
  }
}

const small = 128 * 1024;
const outcomes = [await save(new Uint8Array(small).fill(1)), await save(new Uint8Array(small).fill(2))];
outcomes.push(await save(new Uint8Array(6 * 1024 * 1024).fill(3)));
const inFolder = await readdir(join(folder, "images"));
outcomes.push(await save(new Uint8Array(small).fill(4)));
if (mode === "fill-and-freeze") {
  spawnSync("mount", ["-o", "remount,ro", folder]);
  outcomes.push(await save(new Uint8Array(small).fill(5)));
}
const { images } = await files.ask("load", { name: "a" }, { signal: soon() });
process.stdout.write(JSON.stringify({ outcomes, inFolder, images: images.map((image) => [image[0], image.length]) }));
