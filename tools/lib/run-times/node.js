// HTTP, workers, the thread pool, a child process, and functions that are worth compiling.
const http = require('http'), { Worker, isMainThread, parentPort } = require('worker_threads');
const crypto = require('crypto'), { execSync } = require('child_process'), zlib = require('zlib');
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));

async function main() {
  const server = http.createServer((request, response) => response.end('hello ' + request.url));
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const port = server.address().port;
  const get = (i) => new Promise((good, bad) => http.get({ port, host: '127.0.0.1', path: '/' + i }, (response) => {
    let text = '';
    response.on('data', (data) => (text += data));
    response.on('end', () => good(text === 'hello /' + i ? 1 : 0));
  }).on('error', bad));
  let count = 0;
  for (let batch = 0; batch < 10; batch++) for (const one of await Promise.all([...Array(20).keys()].map(get))) count += one;
  const worker = () => new Promise((good, bad) => new Worker(__filename).on('message', good).on('error', bad));
  const sums = await Promise.all([worker(), worker(), worker()]);
  const hash = crypto.createHash('sha256').update('x'.repeat(1e6)).digest('hex').slice(0, 8);
  const packed = await new Promise((good, bad) => zlib.gzip(Buffer.alloc(1e6), (error, data) => (error ? bad(error) : good(zlib.gunzipSync(data).length))));
  console.log('ok', count, sums.join(), hash, execSync('echo from a child').toString().trim(), packed, fib(27));
  server.close();
}

if (isMainThread) main();
else {
  let sum = 0;
  for (let i = 0; i < 3e6; i++) sum = (sum * 31 + i) | 0;
  parentPort.postMessage(sum);
}
