import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** An Atoll server in memory, as a process on a free port. The variable ATOLL names the program if it is not on the path. */
public final class AtollServer implements BeforeAllCallback, AfterAllCallback, AutoCloseable {
    private static final Pattern SERVES = Pattern.compile(" serves (http://[^\\s\"]+)");

    private Process process;
    private URI endpoint;

    public AtollServer start() {
        String program = System.getenv().getOrDefault("ATOLL", "atoll");
        try {
            process = new ProcessBuilder(program, "serve", "--in-memory", "--port", "0", "--log-format", "json")
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
            Runtime.getRuntime().addShutdownHook(new Thread(this::close));
            BufferedReader log = process.errorReader();
            endpoint = awaitStart(log);
            Thread reader = new Thread(() -> log.lines().forEach(line -> {}), "atoll-log");
            reader.setDaemon(true);
            reader.start();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return this;
    }

    private static URI awaitStart(BufferedReader log) throws IOException {
        StringBuilder said = new StringBuilder();
        for (String line = log.readLine(); line != null; line = log.readLine()) {
            Matcher found = SERVES.matcher(line);
            if (found.find()) {
                return URI.create(found.group(1));
            }
            said.append(line).append('\n');
        }
        throw new IllegalStateException("Atoll did not start: " + said);
    }

    public URI endpoint() {
        return endpoint;
    }

    @Override
    public void close() {
        if (process != null) {
            process.destroy();
        }
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        start();
    }

    @Override
    public void afterAll(ExtensionContext context) {
        close();
    }
}
