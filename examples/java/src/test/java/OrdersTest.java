import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;

class OrdersTest {
    @RegisterExtension
    static final AtollServer atoll = new AtollServer();

    @Test
    void anOrderIsFoundAgain() {
        try (DynamoDbClient client = DynamoDbClient.builder()
                .endpointOverride(atoll.endpoint())
                .region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("any", "any")))
                .build()) {
            client.createTable(table -> table.tableName("Orders")
                    .billingMode(BillingMode.PAY_PER_REQUEST)
                    .keySchema(key -> key.attributeName("id").keyType(KeyType.HASH))
                    .attributeDefinitions(id -> id.attributeName("id").attributeType(ScalarAttributeType.S)));
            Map<String, AttributeValue> order = Map.of("id", AttributeValue.fromS("1"), "total", AttributeValue.fromN("42"));
            client.putItem(put -> put.tableName("Orders").item(order));
            assertEquals(order, client.getItem(get -> get.tableName("Orders").key(Map.of("id", order.get("id")))).item());
        }
    }
}
