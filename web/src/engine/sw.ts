/// <reference lib="webworker" />
// The service worker. It takes over at once, so that the first visit can already stream through it.
declare const self: ServiceWorkerGlobalScope;

self.addEventListener('install', (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
