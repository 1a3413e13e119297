// Print the events of `rtemo serve --publish web`, over a WebSocket, and count what is lost on the way.
// Run: java Events.java [ws://127.0.0.1:8765] [COUNT]; a token goes into RTEMO_TOKEN. Java 17 or newer, nothing else.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Events implements WebSocket.Listener {
    // Java brings no reader of JSON: take the one that your program has. `data` comes last in an event, so the first
    // field of a name is the event's own.
    private static final Pattern TYPE = Pattern.compile("^\\{\"type\":\"(\\w+)\"");

    private final StringBuilder text = new StringBuilder();
    private final Map<String, Long> seen = new HashMap<>();
    private final CountDownLatch over = new CountDownLatch(1);
    private final long count;
    private long received;
    private long lost;

    Events(long count) {
        this.count = count;
    }

    public static void main(String[] words) throws Exception {
        String origin = words.length > 0 ? words[0] : "ws://127.0.0.1:8765";
        Events events = new Events(words.length > 1 ? Long.parseLong(words[1]) : Long.MAX_VALUE);
        WebSocket.Builder builder = HttpClient.newHttpClient().newWebSocketBuilder();
        String token = System.getenv("RTEMO_TOKEN");
        if (token != null) {
            builder.header("Authorization", "Bearer " + token);
        }
        builder.subprotocols("rtemo.v1").buildAsync(URI.create(origin + "/v1/ws?view=events"), events).join();
        events.over.await();
        System.out.println("received " + events.received + ", lost " + events.lost);
        System.exit(0);
    }

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean isLast) {
        text.append(part);
        if (isLast) {
            told(text.toString());
            text.setLength(0);
        }
        socket.request(1);
        return null;
    }

    @Override
    public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
        System.err.println("the server closed the connection (" + code + "); run again");
        over.countDown();
        return null;
    }

    @Override
    public void onError(WebSocket socket, Throwable error) {
        System.err.println("the connection is lost (" + error + "); run again");
        over.countDown();
    }

    private void told(String message) {
        Matcher type = TYPE.matcher(message);
        if (!type.find() || type.group(1).equals("beat") || received >= count) {
            return;
        }
        if (type.group(1).equals("snapshot")) {
            seen.clear();
            System.out.println("snapshot");
            return;
        }
        String topic = field(message, "call") + "/" + field(message, "channel") + " " + field(message, "kind");
        long number = Long.parseLong(field(message, "seq"));
        lost += Math.max(0, number - seen.getOrDefault(topic, number - 1) - 1);
        seen.put(topic, number);
        received++;
        boolean isEmotion = topic.endsWith(" emotion");
        System.out.println(topic + (isEmotion ? " " + field(message, "label") + " " + field(message, "arousal") : ""));
        if (received >= count) {
            over.countDown();
        }
    }

    private static String field(String message, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":(?:\"((?:[^\"\\\\]|\\\\.)*)\"|([-0-9.eE]+))").matcher(message);
        if (!found.find()) {
            return "";
        }
        return found.group(1) != null ? found.group(1) : found.group(2);
    }
}
