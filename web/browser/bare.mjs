// What the product is measured against: the least server that a browser can talk to, as a process of its own. It hands out
// pages, takes bodies and throws them away (it stores nothing, where the product stores two fsynced copies), and gives out a
// file. HTTP/1.1, no TLS, as the product on loopback. `node bare.mjs FOLDER FILE`; prints its address.
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const [folder = '', file = ''] = process.argv.slice(2);
const types = { '.html': 'text/html', '.js': 'text/javascript' };

/** The type of a page's part, by its name; nothing else lies in the folder. */
const typeOf = (name) => types[name.slice(name.lastIndexOf('.'))];

function give(response, headers) {
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': statSync(file).size,
    'Cache-Control': 'no-store',
    ...headers,
  });
  // Large reads: with the default of 64 KiB the server would be the slow one.
  createReadStream(file, { highWaterMark: 1 << 20 }).pipe(response);
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://bare');
  if (request.method === 'POST') {
    request.on('end', () => response.writeHead(204).end());
    request.resume();
  } else if (pathname === '/file') {
    give(response, {});
  } else if (pathname === '/save') {
    give(response, { 'Content-Disposition': 'attachment; filename="saved.bin"' });
  } else if (typeOf(pathname)) {
    response.writeHead(200, { 'Content-Type': typeOf(pathname) }).end(readFileSync(join(folder, pathname)));
  } else {
    response.writeHead(404).end();
  }
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`ready http://127.0.0.1:${server.address().port}\n`));
