// @kubernetes/client-node: an informer, a Job, exec, a forwarded port.
import net from "node:net";
import { Writable } from "node:stream";
import {
  BatchV1Api, CoreV1Api, Exec, KubeConfig, PortForward, makeInformer,
} from "@kubernetes/client-node";

const namespace = "default";
const config = new KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(CoreV1Api);
const batch = config.makeApiClient(BatchV1Api);

function check(fact, what) {
  if (!fact) throw new Error(what);
}

function withinSeconds(seconds, what, promise) {
  const late = new Promise((_, reject) =>
    setTimeout(() => reject(new Error(`too late: ${what}`)), seconds * 1000).unref());
  return Promise.race([promise, late]);
}

async function informed() {
  const path = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const informer = makeInformer(config, path, () => batch.listNamespacedJob({ namespace }));
  const done = new Promise((resolve, reject) => {
    informer.on("update", (job) => job.metadata.name === "node" && job.status?.succeeded && resolve());
    informer.on("error", reject);
  });
  await informer.start();
  const containers = [{ name: "c", image: "busybox", command: ["echo", "hello"] }];
  const spec = { template: { spec: { restartPolicy: "Never", containers } } };
  await batch.createNamespacedJob({ namespace, body: { metadata: { name: "node" }, spec } });
  await withinSeconds(30, "the Job", done);
  await informer.stop();
  const pods = await core.listNamespacedPod({ namespace, labelSelector: "job-name=node" });
  const log = await core.readNamespacedPodLog({ namespace, name: pods.items[0].metadata.name });
  check(log === "hello\n", `log ${JSON.stringify(log)}`);
}

async function running(name, port) {
  const program = `import socket
s = socket.create_server(("127.0.0.1", ${port}))
while True:
    c = s.accept()[0]
    c.sendall(b"from inside\\n")
    c.close()`;
  const containers = [{ name: "c", image: "python:3", command: ["python3", "-c", program] }];
  await core.createNamespacedPod({ namespace, body: { metadata: { name }, spec: { containers } } });
  for (let tries = 0; tries < 300; tries += 1) {
    const pod = await core.readNamespacedPod({ namespace, name });
    if (pod.status?.phase === "Running") return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${name} does not run`);
}

async function executed(name) {
  let output = "";
  const stdout = new Writable({ write(chunk, _, next) { output += chunk; next(); } });
  const status = await withinSeconds(20, "exec", new Promise((resolve, reject) => {
    new Exec(config)
      .exec(namespace, name, "c", ["echo", "inside"], stdout, null, null, false, resolve)
      .catch(reject);
  }));
  check(status.status === "Success", JSON.stringify(status));
  check(output === "inside\n", `output ${JSON.stringify(output)}`);
}

async function forwarded(name, port) {
  const forward = new PortForward(config);
  const server = net.createServer((socket) =>
    forward.portForward(namespace, name, [port], socket, null, socket).catch(() => socket.destroy()));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  // The program inside may not listen yet.
  for (let tries = 0; tries < 100; tries += 1) {
    const said = await withinSeconds(20, "the forwarded port", new Promise((resolve) => {
      const socket = net.connect(server.address().port, "127.0.0.1");
      socket.once("data", (data) => { socket.destroy(); resolve(data.toString()); });
      socket.once("close", () => resolve(""));
      socket.once("error", () => resolve(""));
    }));
    if (said === "from inside\n") return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("nothing came through the forwarded port");
}

const port = await new Promise((resolve) => {
  const probe = net.createServer().listen(0, "127.0.0.1", () => {
    const found = probe.address().port;
    probe.close(() => resolve(found));
  });
});
await informed();
await running("node-long", port);
await executed("node-long");
await forwarded("node-long", port);
await core.deleteNamespacedPod({ namespace, name: "node-long", gracePeriodSeconds: 0 });
console.log("all is well");
process.exit(0);
