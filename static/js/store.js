/**
 * What the browser keeps until the server has it: labels on their way (`outbox`) and drafts (`drafts`), in IndexedDB, so
 * that they outlive the page and the browser. Where there is no IndexedDB, they live as long as the page.
 */
const STORES = { outbox: "id", drafts: "assignment" };
const memory = Object.fromEntries(Object.keys(STORES).map((name) => [name, new Map()]));
let opening = null;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("touchstone", 1);
    request.addEventListener("upgradeneeded", () => {
      for (const [name, keyPath] of Object.entries(STORES)) request.result.createObjectStore(name, { keyPath });
    });
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
  return opening;
}

async function transact(name, mode, work) {
  const open = await database();
  return new Promise((resolve, reject) => {
    const transaction = open.transaction(name, mode, { durability: "strict" });
    const request = work(transaction.objectStore(name));
    transaction.addEventListener("complete", () => resolve(request.result));
    transaction.addEventListener("abort", () => reject(transaction.error));
  });
}

export async function put(name, row) {
  memory[name].set(row[STORES[name]], row);
  try {
    await transact(name, "readwrite", (store) => store.put(row));
  } catch (error) {
    console.warn("Kept on this page only:", error);
  }
}

export async function remove(name, key) {
  memory[name].delete(key);
  try {
    await transact(name, "readwrite", (store) => store.delete(key));
  } catch {
    // It was kept on this page only.
  }
}

export async function all(name) {
  try {
    return await transact(name, "readonly", (store) => store.getAll());
  } catch {
    return [...memory[name].values()];
  }
}
