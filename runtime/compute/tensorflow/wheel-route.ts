/*
 * TensorFlow from the wheel of its Python package, which pip finds wherever pip finds packages; and the package's binding, two files of C++,
 * compiled against it.
 */
import { execFile } from "node:child_process";
import { mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { TFJS } from "./load.ts";
import { npmInstall } from "./own-install-route.ts";
import { type RouteContext } from "./routes.ts";
import { runTool } from "./run-tool.ts";

const run = promisify(execFile);

const TENSORFLOW = "2.21.0";
const NODE_API_HEADERS = { name: "node-api-headers", version: "1.9.0" } as const;
/** The Node-API that the binding is written for; its file is looked for under this number. */
const NAPI = 8;
/** Wheels are made for one Python each, and what is taken from them is the same in all. */
const WHEEL_FOR = ["--python-version=3.12", "--implementation=cp", "--abi=cp312"];
const PLATFORMS: Readonly<Record<string, string>> = {
  x64: "manylinux_2_27_x86_64",
  arm64: "manylinux_2_27_aarch64",
};

export async function wheelRoute(context: RouteContext): Promise<void> {
  const platform = process.platform === "linux" ? PLATFORMS[process.arch] : undefined;
  if (platform === undefined) {
    throw new Error(`it is for Linux on x64 and arm64, and this is ${process.platform} on ${process.arch}`);
  }
  const compiler = context.env["CXX"] ?? "c++";
  await requireTools(compiler, context.env);
  await npmInstall(context, {
    dependencies: { [TFJS.package]: TFJS.version, [NODE_API_HEADERS.name]: NODE_API_HEADERS.version },
    scripts: false,
  });
  const wheel = await downloadWheel(context, platform);
  const root = join(context.folder, "node_modules", TFJS.package);
  await takeLibrary(context, { wheel, into: join(root, "deps") });
  await compileBinding(context, { root, compiler });
}

/** All that is missing is said at once, with how to get it. */
async function requireTools(compiler: string, env: RouteContext["env"]): Promise<void> {
  const needed = [
    { what: "Python 3", get: "apt-get install python3, dnf install python3", try: ["python3", "--version"] },
    { what: "pip", get: "apt-get install python3-pip, dnf install python3-pip", try: ["python3", "-m", "pip", "-V"] },
    {
      what: "a C++ compiler",
      get: "apt-get install g++, dnf install gcc-c++; or CXX names one",
      try: [compiler, "-v"],
    },
  ];
  const missing: string[] = [];
  for (const { what, get, try: command } of needed) {
    const [name = "", ...args] = command;
    try {
      await run(name, args, { env });
    } catch {
      missing.push(`${what} (${get})`);
    }
  }
  if (missing.length > 0) throw new Error(`it needs what is missing here: ${missing.join("; ")}`);
}

async function downloadWheel(context: RouteContext, platform: string): Promise<string> {
  const name = process.arch === "x64" && !context.gpu ? "tensorflow-cpu" : "tensorflow";
  context.say(`pip download ${name}==${TENSORFLOW} (some 300 MB without support for GPUs, 600 MB with it)`);
  await runTool(
    "python3",
    [
      "-m",
      "pip",
      "download",
      "--no-deps",
      "--only-binary=:all:",
      "--disable-pip-version-check",
      "--no-cache-dir",
      "--progress-bar=off",
      ...WHEEL_FOR,
      `--platform=${platform}`,
      `--dest=${context.folder}`,
      `${name}==${TENSORFLOW}`,
    ],
    context,
  );
  const wheel = (await readdir(context.folder)).find((file) => file.endsWith(".whl"));
  if (wheel === undefined) throw new Error("pip ended well and left no wheel");
  return join(context.folder, wheel);
}

/** Python reads zip files of any size, and is there anyway. */
const EXTRACT = `
import sys, zipfile, os
wheel, into = sys.argv[1:]
libraries = ("tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2")
headers = "tensorflow/include/"
wanted = tuple(headers + folder for folder in ("tensorflow/c/", "tensorflow/core/platform/", "tsl/", "xla/tsl/"))
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name in libraries: path = os.path.join(into, "lib", os.path.basename(name))
        elif name.startswith(wanted) and name.endswith(".h"): path = os.path.join(into, "include", name[len(headers):])
        else: continue
        if ".." in name.split("/"): raise ValueError(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with archive.open(name) as source, open(path, "wb") as target:
            while chunk := source.read(1 << 20): target.write(chunk)
`;

async function takeLibrary(
  context: RouteContext,
  of: { readonly wheel: string; readonly into: string },
): Promise<void> {
  const { wheel, into } = of;
  context.say("unpacking the library from the wheel");
  await runTool("python3", ["-c", EXTRACT, wheel, into], context);
  await rm(wheel);
  // The names that the binding's linker and loader look for.
  await symlink("libtensorflow_framework.so.2", join(into, "lib", "libtensorflow_framework.so"));
  await symlink("libtensorflow_cc.so.2", join(into, "lib", "libtensorflow.so"));
}

async function compileBinding(
  context: RouteContext,
  of: { readonly root: string; readonly compiler: string },
): Promise<void> {
  const { root, compiler } = of;
  context.say(`compiling the binding with ${compiler}`);
  const folder = join(root, "lib", `napi-v${NAPI}`);
  await mkdir(folder, { recursive: true });
  const sources = ["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => join(root, "binding", file));
  const headers = [
    join(root, "deps", "include"),
    join(context.folder, "node_modules", NODE_API_HEADERS.name, "include"),
  ];
  await runTool(
    compiler,
    [
      "-shared",
      "-fPIC",
      "-O2",
      "-std=c++17",
      "-w",
      `-DNAPI_VERSION=${NAPI}`,
      ...headers.map((path) => `-I${path}`),
      ...sources,
      `-L${join(root, "deps", "lib")}`,
      "-Wl,-rpath,$ORIGIN/../../deps/lib",
      "-ltensorflow",
      "-ltensorflow_framework",
      "-o",
      join(folder, "tfjs_binding.node"),
    ],
    context,
  );
}
