// minio-js: cases in order, a line of JSON each; the last line is `passed X of Y` (see ../outcomes.py).

import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { readFileSync } from 'node:fs'
import * as Minio from 'minio'

const MIB = 1 << 20
const { CAIRN_ENDPOINT, CAIRN_ACCESS_KEY, CAIRN_SECRET_KEY, CAIRN_REGION } = process.env
const endpoint = new URL(CAIRN_ENDPOINT)
const settings = {
  endPoint: endpoint.hostname,
  port: Number(endpoint.port),
  useSSL: false,
  accessKey: CAIRN_ACCESS_KEY,
  secretKey: CAIRN_SECRET_KEY,
}
const region = CAIRN_REGION ?? 'us-east-1'
const s3 = new Minio.Client({ ...settings, region, partSize: 5 * MIB })
const bucket = `minio-js-${randomUUID().slice(0, 8)}`

const SIZES = { '0 B': 0, '1 B': 1, '4 KiB': 4096, '4 KiB and 1 B': 4097, '5 MiB': 5 * MIB }
const KEYS = {
  spaces: 'a key/with two  spaces',
  plus: 'a+b/c++',
  percent: '100%/%41%2F',
  unicode: 'ключ/鍵/clé-é/🗝',
  'reserved characters': "a&b=c;d:e@f$g,h'i(j)k!l*m",
  'quotes and brackets': 'say "x" [y] {z} <t> ^ ` |',
  'a slash at the end': 'folder/',
  '1,024 bytes': 'k'.repeat(1024),
}

const pattern = (seed, length) => createHash('shake256', { outputLength: length }).update(String(seed)).digest()
const md5 = (body) => createHash('md5').update(body).digest('hex')
const pieces = function* (body) {
  for (let at = 0; at < body.length; at += 1 << 16) yield body.subarray(at, at + (1 << 16))
}
const BODY = pattern('body', 200_000)

const put = (key, body = 'x', metadata = {}) => s3.putObject(bucket, key, Buffer.from(body), undefined, metadata)
const get = async (key) => buffer(await s3.getObject(bucket, key))
const collect = async (stream) => {
  const rows = []
  for await (const row of stream) rows.push(row)
  return rows
}
const names = async (stream) => (await collect(stream)).map((row) => row.name ?? row.prefix)
const inByteOrder = (keys) => [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
const refused = (code, call) => assert.rejects(call, (error) => (assert.equal(error.code, code), true))
const same = (found, wanted) => assert.ok(found.equals(wanted), 'other bytes than were stored')

const cases = []
const on = (operation, name, play) => cases.push({ operation, name, play })

on('CreateBucket', 'makes a bucket', () => s3.makeBucket(bucket, region))

on('HeadBucket', 'of a bucket and of none', async () => {
  assert.deepEqual([await s3.bucketExists(bucket), await s3.bucketExists('no-such-bucket-here')], [true, false])
})

on('ListBuckets', 'names the bucket', async () => {
  assert.ok((await s3.listBuckets()).some((row) => row.name === bucket))
})

on('GetBucketLocation', 'is asked where no region is given', async () => {
  assert.equal(await new Minio.Client(settings).bucketExists(bucket), true)
})

for (const [words, length] of Object.entries(SIZES)) {
  on('PutObject', `stores and reads back: ${words}`, async () => {
    const body = pattern(length, length)
    assert.equal((await put(`size/${length}`, body)).etag, md5(body))
    same(await get(`size/${length}`), body)
  })
}

for (const [words, key] of Object.entries(KEYS)) {
  on('PutObject', `takes a key with: ${words}`, async () => {
    await put(key, key)
    assert.equal((await get(key)).toString(), key)
  })
}

on('PutObject', 'keeps type and metadata', async () => {
  await put('told', BODY, { 'Content-Type': 'text/x-cairn', 'X-Amz-Meta-Colour': 'blue', 'Cache-Control': 'no-cache' })
  const stat = await s3.statObject(bucket, 'told')
  assert.deepEqual([stat.size, stat.etag], [BODY.length, md5(BODY)])
  const { colour, 'content-type': type, 'cache-control': cache } = stat.metaData
  assert.deepEqual([type, colour, cache], ['text/x-cairn', 'blue', 'no-cache'])
})

on('PutObject', 'refuses no bucket', () => refused('NoSuchBucket', s3.putObject('no-such-bucket-here', 'k', 'x')))

on('GetObject', 'from an offset', async () => {
  await put('range', BODY)
  same(await buffer(await s3.getPartialObject(bucket, 'range', 65_530, 16)), BODY.subarray(65_530, 65_546))
  same(await buffer(await s3.getPartialObject(bucket, 'range', 199_993)), BODY.subarray(199_993))
})

on('GetObject', 'refuses no such key and no such bucket', async () => {
  await refused('NoSuchKey', s3.getObject(bucket, 'nothing'))
  await refused('NoSuchBucket', s3.getObject('no-such-bucket-here', 'k'))
})

on('HeadObject', 'of nothing is 404', () => refused('NotFound', s3.statObject(bucket, 'nothing')))

on('CopyObject', 'copies bytes and metadata', async () => {
  await put('from é+', BODY, { 'X-Amz-Meta-A': 'b' })
  await s3.copyObject(bucket, 'to', `/${bucket}/from é+`)
  same(await get('to'), BODY)
  assert.equal((await s3.statObject(bucket, 'to')).metaData.a, 'b')
})

on('CopyObject', 'refuses a changed source', async () => {
  const conditions = new Minio.CopyConditions()
  conditions.setMatchETag('other')
  await refused('PreconditionFailed', s3.copyObject(bucket, 'never', `/${bucket}/to`, conditions))
})

on('UploadPartCopy', 'composes an object of others', async () => {
  const parts = [pattern('part 0', 5 * MIB), pattern('part 1', 5 * MIB)]
  for (const [number, part] of parts.entries()) await put(`compose/${number}`, part)
  const sources = parts.map((_, n) => new Minio.CopySourceOptions({ Bucket: bucket, Object: `compose/${n}` }))
  await s3.composeObject(new Minio.CopyDestinationOptions({ Bucket: bucket, Object: 'composed' }), sources)
  same(await get('composed'), Buffer.concat(parts))
})

on('DeleteObject', 'is gone and again is no error', async () => {
  await put('gone')
  await s3.removeObject(bucket, 'gone')
  await s3.removeObject(bucket, 'gone')
  await refused('NotFound', s3.statObject(bucket, 'gone'))
})

on('DeleteObjects', 'deletes many with odd keys', async () => {
  const keys = Object.values(KEYS).filter((key) => key.length < 1000).map((key) => `many/${key}`)
  for (const key of keys) await put(key)
  await s3.removeObjects(bucket, keys)
  assert.deepEqual(await names(s3.listObjectsV2(bucket, 'many/', true)), [])
})

const LISTED = inByteOrder(['l/1', 'l/2', 'l/a/1', 'l/a/2', 'l/sp ce+%&', 'l/é/ж'])

on('ListObjectsV2', 'lists all and by level', async () => {
  for (const key of LISTED) await put(key)
  assert.deepEqual(await names(s3.listObjectsV2(bucket, 'l/', true)), LISTED)
  const level = await names(s3.listObjectsV2(bucket, 'l/', false))
  assert.deepEqual(inByteOrder(level), inByteOrder(['l/1', 'l/2', 'l/a/', 'l/sp ce+%&', 'l/é/']))
  assert.deepEqual(await names(s3.listObjectsV2(bucket, 'l/', true, 'l/a/2')), LISTED.slice(LISTED.indexOf('l/a/2') + 1))
})

on('ListObjects', 'lists by version 1', async () => {
  assert.deepEqual(await names(s3.listObjects(bucket, 'l/', true)), LISTED)
})

on('ListObjectVersions', 'lists versions', async () => {
  const rows = await collect(s3.listObjects(bucket, 'l/', true, { IncludeVersion: true }))
  assert.deepEqual(rows.map((row) => [row.name, row.versionId]), LISTED.map((key) => [key, 'null']))
})

on('CompleteMultipartUpload', 'a stream of 20 MiB goes up in parts', async () => {
  const body = pattern('large', 20 * MIB)
  const sent = await s3.putObject(bucket, 'large', Readable.from(pieces(body)), body.length)
  assert.match(sent.etag, /-4$/)
  same(await get('large'), body)
})

on('AbortMultipartUpload', 'removes an incomplete upload', async () => {
  await s3.initiateNewMultipartUpload(bucket, 'aborted', {})
  const open = () => collect(s3.listIncompleteUploads(bucket, 'aborted', true))
  assert.deepEqual((await open()).map((row) => row.key), ['aborted'])
  await s3.removeIncompleteUpload(bucket, 'aborted')
  assert.deepEqual(await open(), [])
})

on('presigned URL', 'puts and gets without keys', async () => {
  const key = 'by url/é+'
  const sent = await fetch(await s3.presignedPutObject(bucket, key, 60), { method: 'PUT', body: 'by url' })
  assert.equal(sent.status, 200)
  const got = await fetch(await s3.presignedGetObject(bucket, key, 60))
  assert.equal(await got.text(), 'by url')
})

on('DeleteBucket', 'refuses one that is not empty', () => refused('BucketNotEmpty', s3.removeBucket(bucket)))

on('DeleteBucket', 'removes an empty one', async () => {
  await s3.removeObjects(bucket, await names(s3.listObjectsV2(bucket, '', true)))
  await s3.removeBucket(bucket)
  await refused('NoSuchBucket', s3.removeBucket(bucket))
})

const version = JSON.parse(readFileSync(new URL('package-lock.json', import.meta.url))).packages['node_modules/minio'].version
let passed = 0
for (const { operation, name, play } of cases) {
  let why = ''
  try {
    await play()
    passed += 1
  } catch (error) {
    why = `${error.name}: ${error.code ?? ''} ${error.message}`.replace(/\s+/g, ' ').slice(0, 300)
  }
  const outcome = why ? 'failed' : 'passed'
  console.log(JSON.stringify({ client: 'minio-js', version, operation, case: name, outcome, why }))
}
console.log(`passed ${passed} of ${cases.length}`)
process.exit(passed === cases.length ? 0 : 1)
