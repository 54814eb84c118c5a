#!/usr/bin/env node
/*
 * The command `freshet`: finds the Node that this package pins and runs cli.ts on it. Whatever Node the machine has must
 * be able to read this file, so it is plain JavaScript without anything newer than Node 12.
 */
import { spawn } from "child_process";
import { existsSync, readFileSync, realpathSync } from "fs";
import { createRequire } from "module";
import { constants } from "os";
import { dirname, join, sep } from "path";
import { fileURLToPath } from "url";

const wantedMajor = 26;
const failed = 1;
const folder = dirname(fileURLToPath(import.meta.url));
const resolve = createRequire(import.meta.url).resolve;

start();

function start() {
  if (folder.split(sep).includes("node_modules")) {
    refuse(
      `from ${folder}`,
      "Node runs TypeScript only outside node_modules. Clone the repository and run 'npm install' in the clone; " +
        "'npm link' there, or 'npm install' with the clone's path elsewhere, brings the command to other folders",
    );
    return;
  }
  const node = pinnedNode() || thisNode();
  if (node === undefined) {
    refuse(
      `on Node ${process.versions.node}`,
      `it needs Node ${wantedMajor} or newer, which 'npm install' in ${dirname(folder)} fetches`,
    );
    return;
  }
  run(node);
}

/** The program that the npm package `node`, or its package for this platform, brought along; wherever npm put it. */
function pinnedNode() {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const names = ["node"];
  for (const prefix of ["node", "node-bin"]) names.push(`${prefix}-${platform}-${process.arch}`);
  for (const name of names) {
    let manifest;
    try {
      manifest = resolve(`${name}/package.json`);
    } catch {
      continue;
    }
    const program = join(dirname(manifest), "bin", process.platform === "win32" ? "node.exe" : "node");
    const version = JSON.parse(readFileSync(manifest, "utf8")).version;
    if (isNewEnough(version) && existsSync(program)) return realpathSync(program);
  }
  return undefined;
}

function thisNode() {
  return isNewEnough(process.versions.node) ? process.execPath : undefined;
}

function isNewEnough(version) {
  return Number(version.split(".")[0]) >= wantedMajor;
}

function run(node) {
  const child = spawn(node, [join(folder, "cli.ts")].concat(process.argv.slice(2)), {
    stdio: "inherit",
    // Types are stripped and scripts compiled once, not at each start. Where nothing can be written, Node goes without.
    env: Object.assign({ NODE_COMPILE_CACHE: join(dirname(folder), ".cache", "compiled") }, process.env),
  });
  const forwarded = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of forwarded) {
    process.on(signal, function forward() {
      // A terminal tells both of us itself, and hearing it twice would read as impatience.
      if (signal === "SIGTERM" || !onTerminal()) child.kill(signal);
    });
  }
  child.on("error", function complain(error) {
    refuse(`on ${node}`, error.message);
  });
  child.on("exit", function follow(code, signal) {
    if (signal === null) {
      process.exitCode = code === null ? failed : code;
      return;
    }
    // Die the same way, so that whoever started us sees what happened.
    for (const name of forwarded) process.removeAllListeners(name);
    process.exitCode = 128 + (constants.signals[signal] || 0);
    process.kill(process.pid, signal);
  });
}

function onTerminal() {
  return Boolean(process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
}

function refuse(what, why) {
  process.stderr.write(`Cannot start freshet ${what}: ${why}\n`);
  process.exitCode = failed;
}
