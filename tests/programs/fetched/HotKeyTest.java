import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;

/** Threads write to one partition key, faster than it admits. The SDK's standard retries get all writes through. */
class HotKeyTest {
    static final int THREADS = 16;
    static final int WRITES = 4;
    static final String TABLE = "Hot";

    @Test
    void everyWriteSucceedsInTheEnd() throws Exception {
        var refused = new AtomicInteger();
        var counting = new ExecutionInterceptor() {
            @Override
            public void afterTransmission(Context.AfterTransmission context, ExecutionAttributes attributes) {
                if (context.httpResponse().statusCode() == 400) {
                    refused.incrementAndGet();
                }
            }
        };
        try (var client = DynamoDbClient.builder()
                .endpointOverride(URI.create(System.getenv("AWS_ENDPOINT_URL")))
                .overrideConfiguration(o -> o.addExecutionInterceptor(counting))
                .build();
                var threads = new Closing(THREADS)) {
            client.createTable(t -> t.tableName(TABLE)
                    .billingMode(BillingMode.PAY_PER_REQUEST)
                    .keySchema(k -> k.attributeName("pk").keyType(KeyType.HASH),
                            k -> k.attributeName("sk").keyType(KeyType.RANGE))
                    .attributeDefinitions(a -> a.attributeName("pk").attributeType(ScalarAttributeType.S),
                            a -> a.attributeName("sk").attributeType(ScalarAttributeType.S)));
            client.waiter().waitUntilTableExists(w -> w.tableName(TABLE));
            var text = AttributeValue.fromS("x".repeat(100_000));
            List<Future<?>> done = new ArrayList<>();
            for (int thread = 0; thread < THREADS; thread++) {
                var prefix = thread + "-";
                done.add(threads.pool.submit(() -> {
                    for (int number = 0; number < WRITES; number++) {
                        var item = Map.of("pk", AttributeValue.fromS("hot"),
                                "sk", AttributeValue.fromS(prefix + number), "text", text);
                        client.putItem(p -> p.tableName(TABLE).item(item));
                    }
                }));
            }
            for (var one : done) {
                one.get();
            }
            int found = client.queryPaginator(q -> q.tableName(TABLE).consistentRead(true)
                    .keyConditionExpression("pk = :hot")
                    .expressionAttributeValues(Map.of(":hot", AttributeValue.fromS("hot"))))
                    .stream().mapToInt(page -> page.count()).sum();
            assertEquals(THREADS * WRITES, found);
            assertTrue(refused.get() > 0, "nothing was throttled");
        }
    }

    record Closing(java.util.concurrent.ExecutorService pool) implements AutoCloseable {
        Closing(int threads) {
            this(Executors.newFixedThreadPool(threads));
        }

        @Override
        public void close() {
            pool.shutdownNow();
        }
    }
}
