/*
 * A process of its own for the store. `loop FOLDER WORDS FIRST` saves one image after the other, says each one's number once it is saved,
 * and waits to be killed. `fill FOLDER` saves small images and one that is larger than the disk or the limit, and says what became of each.
 */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { numberedImage, openStore, readImages, saveImage } from "./file-store-support.ts";

const [mode, folder = "", words = "", first = ""] = process.argv.slice(2);
await using store = await openStore({ folder: join(folder, "images") });
const { files } = store;

function save(bytes: Uint8Array): ReturnType<typeof saveImage> {
  return saveImage(files, { name: "a", bytes });
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
outcomes.push(await save(randomBytes(6 * 1024 * 1024)));
await readImages(files, "a"); // behind what was abandoned
const inFolder = (await readdir(join(folder, "images"))).map((file) => file.replace(/[0-9a-f]{16}/, "ID")).sort();
outcomes.push(await save(new Uint8Array(small).fill(4)));
if (mode === "fill-and-freeze") {
  spawnSync("mount", ["-o", "remount,ro", folder]);
  outcomes.push(await save(new Uint8Array(small).fill(5)));
}
const images = await readImages(files, "a");
process.stdout.write(JSON.stringify({ outcomes, inFolder, images: images.map((image) => [image[0], image.length]) }));
