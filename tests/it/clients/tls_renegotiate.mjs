// Asks for renegotiation again and again: node tls_renegotiate.mjs PORT CA TIMES. Says how the connection ended.

import fs from "node:fs";
import tls from "node:tls";

const [port, ca, times] = process.argv.slice(2);
const socket = tls.connect(
  { port: Number(port), host: "127.0.0.1", servername: "localhost", ca: fs.readFileSync(ca), maxVersion: "TLSv1.2" },
  () => {
    let left = Number(times);
    const again = () => {
      if (left-- === 0) return socket.end();
      socket.renegotiate({}, (error) => {
        if (error) {
          console.log(`refused: ${error.code ?? error.message}`);
          socket.destroy();
          process.exit(0);
        }
        console.log("renegotiated");
        again();
      });
    };
    again();
  },
);
socket.on("error", (error) => {
  console.log(`refused: ${error.code}`);
  process.exit(0);
});
socket.on("close", () => {
  console.log("refused: closed");
  process.exit(0);
});
setTimeout(() => process.exit(1), 60_000).unref();
