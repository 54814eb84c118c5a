import { execFileSync, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startNode } from "../regions/node.ts";
import { readConfig } from "../regions/read-config.ts";
import { eventually, QUICK, shortFolder } from "./e2e-support.ts";
import { steadyPorts } from "./free-ports.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

test.skipIf(!hasOpenssl)(
  "links and the node's own connection run over TLS, and a peer that trusts another authority stays out",
  async () => {
    await using folder = await shortFolder();
    const [ours, theirs] = [authority(folder.path, "ours"), authority(folder.path, "theirs")];
    const [oregonPort = 0, frankfurtPort = 0] = await steadyPorts(2);
    const secret = join(folder.path, "secret");
    await writeFile(secret, "between the two\n", { mode: 0o600 });

    async function config(region: "oregon" | "frankfurt", trusted: string) {
      const peer = region === "oregon" ? "frankfurt" : "oregon";
      const file = join(folder.path, `${region}.jsonc`);
      const [own, other] = region === "oregon" ? [oregonPort, frankfurtPort] : [frankfurtPort, oregonPort];
      await writeFile(
        file,
        JSON.stringify({
          ...QUICK,
          region,
          training: "oregon",
          state: `s-${region}`,
          nats: { listen: `127.0.0.1:${own}`, tls: { cert: ours.cert, key: ours.key, ca: ours.ca } },
          grants: [{ region: peer, password: { file: secret } }],
          peers: [{ region: peer, url: `tls://127.0.0.1:${other}`, password: { file: secret }, tls: { ca: trusted } }],
          http: false,
        }),
      );
      return readConfig(file);
    }

    function log(): void {}
    await using oregon = await startNode(await config("oregon", ours.ca), { log });
    const frankfurtConfig = await config("frankfurt", ours.ca);
    {
      await using frankfurt = await startNode(frankfurtConfig, { log });
      await eventually("both links are up", async () => {
        const links = [...(await oregon.status()).links, ...(await frankfurt.status()).links];
        return links.length === 2 && links.every(({ connected }) => connected) ? true : undefined;
      });
      expect(frankfurt.natsUrl).toMatch(/^tls:/);
    }
    await using stranger = await startNode(await config("frankfurt", theirs.ca), { log });
    const { links } = await eventually("the stranger has tried", async () => {
      const metrics = await stranger.system.metrics();
      const failed = metrics.find(
        ({ name, labels }) => name === "freshet_link_connect_failures_total" && labels["peer"] === "oregon",
      );
      return (failed?.value ?? 0) > 0 ? stranger.status() : undefined;
    });
    expect(links).toMatchObject([{ peer: "oregon", connected: false }]);
  },
);

/** A certificate for 127.0.0.1 that signs itself, made for this test. */
function authority(folder: string, name: string): { readonly cert: string; readonly key: string; readonly ca: string } {
  const cert = join(folder, `${name}.pem`);
  const key = join(folder, `${name}-key.pem`);
  const subject = [
    "-subj",
    `/CN=${name}`,
    "-addext",
    "subjectAltName=IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:TRUE",
  ];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", ...kind, "-keyout", key, "-out", cert, ...subject], { stdio: "ignore" });
  return { cert, key, ca: cert };
}
