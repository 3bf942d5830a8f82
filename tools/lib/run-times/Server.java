// An HTTP server with eight threads under eight clients, then a loop that is worth compiling, and garbage.
import com.sun.net.httpserver.HttpServer;
import java.net.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Server {
    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", exchange -> {
            byte[] text = ("hello " + exchange.getRequestURI().getPath()).getBytes();
            exchange.sendResponseHeaders(200, text.length);
            exchange.getResponseBody().write(text);
            exchange.close();
        });
        server.start();
        int port = server.getAddress().getPort();
        AtomicInteger good = new AtomicInteger();
        ExecutorService clients = Executors.newFixedThreadPool(8);
        for (int i = 0; i < 400; i++) {
            int n = i;
            clients.submit(() -> {
                URLConnection c = new URL("http://127.0.0.1:" + port + "/" + n).openConnection();
                if (new String(c.getInputStream().readAllBytes()).equals("hello /" + n)) good.incrementAndGet();
                return null;
            });
        }
        clients.shutdown();
        clients.awaitTermination(300, TimeUnit.SECONDS);
        server.stop(0);
        long hash = 0;
        for (int i = 0; i < 20000000; i++) hash = hash * 31 + i;
        byte[][] blocks = new byte[200][];
        for (int i = 0; i < 20000; i++) blocks[i % 200] = new byte[10000];
        System.out.println("ok " + good.get() + " " + hash);
        System.exit(0);
    }
}
